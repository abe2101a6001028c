Feature: Versions of the shop that are really bad

  Nothing is injected here: each of these versions has a real mistake in its code,
  of a kind that has taken shops down before.

  Background:
    Given a staging copy of the shop, with version "v1" serving everyone
    And customers browse and order at 200 requests per second

  Rule: What is wrong in the code shows in an alarm or a health check

    @thorough
    Scenario: A panic at start
      When "v2-crashes-at-start" is released as the "canary" plan says
      Then the release is rolled back because of a failed health check
      And version "v2-crashes-at-start" never serves anyone

    Scenario: A panic under load
      When "v2-crashes-under-load" is released as the "blue-green" plan says
      Then the release is rolled back because of a failed health check
      And version "v1" serves everyone
      And no acknowledged order is lost or doubled

    @thorough
    Scenario: A memory leak
      When "v2-leaks-memory" is released as the "linear" plan says
      Then the release is rolled back
      And the alarm "shop-memory" may go off too
      And the alarm "shop-5xx-rate" may go off too
      And the alarm "shop-unhealthy-hosts" may go off too
      And version "v1" serves everyone

    @thorough
    Scenario: A slow query
      When "v2-slow-query" is released as the "canary" plan says
      Then the alarm "shop-p99-latency" goes off within 4 minutes of exposure
      And all customers are back on "v1" within 30 seconds of the alarm

    @thorough
    Scenario: A variable read by a wrong name
      When "v2-wrong-variable" is released as the "linear" plan says
      Then the alarm "shop-5xx-rate" goes off within 4 minutes of exposure
      And the alarm "shop-error-logs" may go off too
      And all customers are back on "v1" within 30 seconds of the alarm

    Scenario: Orders of the old version cannot be read any more
      When "v2-refuses-old-data" is released as the "linear" plan says
      Then the alarm "shop-error-logs" goes off within 4 minutes of exposure
      And the alarm "shop-5xx-rate" may go off too
      And all customers are back on "v1" within 30 seconds of the alarm
      And no acknowledged order is lost or doubled

    @thorough
    Scenario: A call without a time-out, when the payments API is slow
      Given the "payments" answers version "v2-hangs-on-payments" 3 seconds late, from 1 minute after it takes traffic
      When "v2-hangs-on-payments" is released as the "linear" plan says
      Then the release is rolled back
      And the alarm "shop-5xx-rate" may go off too
      And the alarm "shop-p99-latency" may go off too
      And the alarm "shop-unhealthy-hosts" may go off too
      And the alarm "shop-error-logs" may go off too
      And version "v1" serves everyone
      And no acknowledged order is lost or doubled

  Rule: What no alarm can see, the smoke requests can

    Scenario: The shop window shows no prices
      When "v2-forgets-prices" is released as the team's plan says
      Then the release is rolled back because of its test traffic
      And version "v2-forgets-prices" never serves anyone
      And no request failed
