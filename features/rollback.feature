Feature: The way back

  A rollback that was never tried is a hope. Each strategy goes back by itself, a
  person can go back at any time, and where there is nothing to go back to the
  release says so.

  Background:
    Given a staging copy of the shop, with version "v1" serving everyone
    And customers browse and order at 200 requests per second

  Rule: Every strategy goes back by itself

    Scenario Outline: Version "v2" fails half of its requests and is released <strategy>
      Given version "v2" fails 50% of its requests
      When "v2" is released as the "<strategy>" plan says
      Then the release is rolled back because of an alarm
      And the alarm "shop-5xx-rate" goes off within <detected> of exposure
      And all customers are back on "v1" within <back> of the alarm
      And service is restored within 1 minute of the alarm
      And no acknowledged order is lost or doubled

      @strategies
      Examples: How soon each of them sees it and is back
        | strategy    | detected  | back       |
        | all-at-once | 4 minutes | 30 seconds |

      @strategies @thorough
      Examples: The more careful ones
        | strategy    | detected  | back       |
        | rolling     | 4 minutes | 30 seconds |
        | linear      | 4 minutes | 5 seconds  |

    @thorough
    Scenario: What the test traffic on green cannot see, an alarm does, and blue is still there
      When "v2-refuses-old-data" is released as the "blue-green" plan says
      Then the release is rolled back because of an alarm
      And the alarm "shop-5xx-rate" goes off within 4 minutes of exposure
      And the alarm "shop-error-logs" may go off too
      And all customers are back on "v1" within 5 seconds of the alarm
      And service is restored within 1 minute of the alarm

    @thorough
    Scenario: Test traffic on green stops a blue/green release before anyone is switched
      Given version "v2" fails 100% of its requests
      When "v2" is released as the "blue-green" plan says
      Then the release is rolled back because of its test traffic
      And version "v2" never serves anyone
      And no request failed

  Rule: A person can go back at any time

    Scenario: The on-call engineer goes back in the middle of a canary
      Given the on-call engineer rolls back by hand 1 minute after "v2" serves 50%
      When "v2" is released as the "canary" plan says
      Then the release is rolled back by hand
      And all customers are back on "v1" within 30 seconds of the decision
      And no request failed
      And no alarm goes off

  Rule: With no version that was ever good there is no way back, and the release says so

    Scenario: The very first version crashes at start
      Given a staging copy of the shop on which no version was ever good
      And version "v1" crashes at start
      When "v1" is released as the "canary" plan says
      Then the release stops, since there is no version to go back to
