Feature: What no alarm sees is said aloud

  A rehearsal that only asked "did an alarm go off?" would pass a release that no
  alarm can judge. Here it is reported as undetected.

  Background:
    Given a staging copy of the shop, with version "v1" serving everyone
    And customers browse and order at 200 requests per second

  Rule: A failure below the alarms' thresholds is reported, not passed over

    Scenario: The new version fails one request in five hundred
      Given version "v2" fails 0.2% of its requests
      When "v2" is released as the "canary" plan says
      Then the release succeeds
      And no alarm sees it, and it is reported as undetected
      And at most 1% of all requests failed
