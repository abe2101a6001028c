Feature: The gateway and the rates that it asks for outside

  Background:
    Given a staging copy of the gateway, with version "stable" serving everyone

  Rule: A version that cannot reach the rates is not released

    Scenario: The new version cannot reach the rates
      Given version "next" cannot reach the "rates"
      When "next" is released as the team's plan says
      Then the release is refused before it starts
      And version "next" never serves anyone

  Rule: Rates that fail for the new version take it back

    Scenario: The rates fail for the new version
      Given the "rates" fails 50% of what it is asked for 20 minutes, from 2 minutes after "next" takes traffic
      When "next" is released as the team's plan says
      Then the release is rolled back because of an alarm
      And the alarm "gateway-5xx-rate" goes off within 4 minutes of exposure

    Scenario: The rates come late to the new version
      Given the "rates" answers version "next" 3 seconds late, from 1 minute after it takes traffic
      When "next" is released as the team's plan says
      Then the alarm "gateway-5xx-rate" goes off within 4 minutes of exposure
      And the alarm "gateway-p99-latency" may go off too
      And all customers are back on "stable" within 30 seconds of the alarm

  Rule: The gateway asks for nothing but rates

    Scenario: What the rates are asked
      When "next" is released as the team's plan says
      Then the release succeeds
      And the stub "rates" was asked GET /rates/EUR at least 10 times
      And the stub "rates" was never asked GET /health
