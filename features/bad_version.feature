Feature: A bad version is caught before it spreads

  A canary gives the new version to a tenth of the customers first. Whatever is wrong
  with it must show there, and everyone must be back on the old version before most
  have noticed.

  Background:
    Given a staging copy of the shop, with version "v1" serving everyone
    And customers browse and order at 200 requests per second

  Rule: An alarm during the bake takes the release back

    Scenario: The new version fails half of its requests
      Given version "v2" fails 50% of its requests
      When "v2" is released as the "canary" plan says
      Then the alarm "shop-5xx-rate" goes off within 4 minutes of exposure
      And all customers are back on "v1" within 30 seconds of the alarm
      And service is restored within 1 minute of the alarm
      And at most 6% of all requests failed
      And no acknowledged order is lost or doubled

    Scenario: The new version is slow
      Given version "v2" answers 800 ms late
      When "v2" is released as the "canary" plan says
      Then the alarm "shop-p99-latency" goes off within 4 minutes of exposure
      And all customers are back on "v1" within 30 seconds of the alarm
      And no request failed

    @thorough
    Scenario: The new version is deployed with a wrong address of the payments API
      Given version "v2" is deployed with the variable "PAYMENTS_URL" set to "http://payments:9"
      When "v2" is released as the "linear" plan says
      Then the alarm "shop-5xx-rate" goes off within 4 minutes of exposure
      And the alarm "shop-error-logs" may go off too
      And all customers are back on "v1" within 30 seconds of the alarm
      And no acknowledged order is lost or doubled

  Rule: A version that does not become healthy never meets a customer

    Scenario: The new version crashes at start
      Given version "v2" crashes at start
      When "v2" is released as the "canary" plan says
      Then the release is rolled back because of a failed health check
      And version "v2" never serves anyone
      And no request failed

    Scenario: The new version needs more memory than it gets
      Given version "v2" runs out of memory
      When "v2" is released as the "canary" plan says
      Then the release is rolled back because of a failed health check
      And version "v2" never serves anyone
      And no request failed

    @thorough
    Scenario: A variable was forgotten
      Given version "v2" is deployed without the variable "DATABASE_URL"
      When "v2" is released as the "canary" plan says
      Then the release is rolled back because of a failed health check
      And version "v2" never serves anyone
      And no request failed

  Rule: A version that stops being healthy is taken back without waiting for an alarm

    @thorough
    Scenario: The new version crashes under its first customers
      Given version "v2" crashes 1 minute after it takes traffic
      When "v2" is released as the "canary" plan says
      Then the release is rolled back because of a failed health check
      And all customers are back on "v1" within 30 seconds of the decision
      And at most 5% of all requests failed

    Scenario: The new version crashes again and again
      Given version "v2" crashes again and again from 1 minute after it takes traffic
      When "v2" is released as the "canary" plan says
      Then the release is rolled back because of a failed health check
      And the alarm "shop-unhealthy-hosts" may go off too
      And all customers are back on "v1" within 30 seconds of the decision
      And no acknowledged order is lost or doubled

    Scenario: The new version hangs
      Given version "v2" hangs 1 minute after it takes traffic
      When "v2" is released as the "canary" plan says
      Then the release is rolled back because of a failed health check
      And all customers are back on "v1" within 30 seconds of the decision
      And at most 8% of all requests failed
