Feature: Production's alarms see a bad menu in time

  The alarms are those that production has; the canary is that of the ECS service:
  10 % for 3 minutes, then everyone, and 15 minutes of bake.

  Background:
    Given a staging copy of the menu, with version "stable" serving everyone

  Rule: What the smoke requests see never meets a customer

    Scenario: The new version answers nothing well
      Given version "next" fails 100% of its requests
      When "next" is released as the team's plan says
      Then the release is rolled back because of its test traffic
      And no request failed

  Rule: What shows under traffic alone sets off an alarm

    Scenario: The delivery API is down for 8 minutes
      Given the "delivery" is down for 8 minutes, from 1 minute after "next" takes traffic
      When "next" is released as the team's plan says
      Then the alarm "menu-5xx" goes off within 4 minutes of exposure
      And all customers are back on "stable" within 30 seconds of the alarm
      And no acknowledged order is lost or doubled

  Rule: What is slower than the canary's alarms is caught by the check after the release

    The alarm on latency needs up to 6 minutes, the canary bakes for 3: `rehearse plan`
    warns of it.

    Scenario: The database answers the new version slowly
      Given the "database" answers version "next" 900 ms late, from 1 minute after it takes traffic
      When "next" is released as the team's plan says
      Then the release is rolled back because of the check after it
      And the alarm "menu-latency" may go off too
      And all customers are back on "stable" within 30 seconds of the decision
      And no request failed
