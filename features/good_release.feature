Feature: A good release reaches everyone, and nobody notices

  Whatever the strategy, releasing a version that is all right costs the customers
  nothing: no failed request, no lost order, no alarm.

  Background:
    Given a staging copy of the shop, with version "v1" serving everyone
    And customers browse and order at 200 requests per second

  Rule: Every strategy brings a good version to everyone without a failed request

    Scenario Outline: Version "v2" is released <strategy>
      When "v2" is released as the "<strategy>" plan says
      Then the release succeeds
      And version "v2" serves everyone
      And no request failed
      And no alarm goes off
      And no acknowledged order is lost or doubled

      @strategies
      Examples: Step by step, or by a switch
        | strategy    |
        | rolling     |
        | blue-green  |
        | canary      |

      @strategies @thorough
      Examples: The boldest of them, and the longest
        | strategy    |
        | all-at-once |
        | linear      |

  Rule: A release is verified once it serves everyone

    @thorough
    Scenario: The released version passes the checks after the release
      When "v2" is released as the team's plan says
      Then the release succeeds
      And version "v2" passes its smoke requests
      And no request failed
