Feature: Trouble with the database or the payments API during a release

  Background:
    Given a staging copy of the shop, with version "v1" serving everyone
    And customers browse and order at 200 requests per second

  Rule: A version that loses what it depends on is taken back

    Scenario: The new version loses the database
      Given version "v2" loses the "database" 1 minute after it takes traffic
      When "v2" is released as the "canary" plan says
      Then the release is rolled back because of a failed health check
      And the alarm "shop-5xx-rate" may go off too
      And all customers are back on "v1" within 30 seconds of the decision
      And no acknowledged order is lost or doubled

    @thorough
    Scenario: The database answers the new version slowly
      Given the "database" answers version "v2" 200 ms late, from 1 minute after it takes traffic
      When "v2" is released as the "linear" plan says
      Then the alarm "shop-p99-latency" goes off within 4 minutes of exposure
      And all customers are back on "v1" within 30 seconds of the alarm

    @thorough
    Scenario: The payments API answers the new version too slowly
      Given the "payments" answers version "v2" 3 seconds late, from 1 minute after it takes traffic
      When "v2" is released as the "linear" plan says
      Then the release is rolled back because of an alarm
      And the alarm "shop-5xx-rate" may go off too
      And the alarm "shop-p99-latency" may go off too
      And the alarm "shop-error-logs" may go off too
      And all customers are back on "v1" within 30 seconds of the alarm
      And no acknowledged order is lost or doubled

  Rule: Trouble that hits every version takes the release back, and ends when the trouble ends

    Scenario: The payments API is down for 6 minutes
      Given the "payments" is down for 6 minutes, from 1 minute after "v2" takes traffic
      When "v2" is released as the "canary" plan says
      Then the alarm "shop-5xx-rate" goes off within 4 minutes of exposure
      And the alarm "shop-error-logs" may go off too
      And all customers are back on "v1" within 30 seconds of the alarm
      And service is restored within 4 minutes of the alarm
      And no acknowledged order is lost or doubled

    @thorough
    Scenario: The payments API fails for a part of the orders
      Given the "payments" fails 50% of what it is asked for 6 minutes, from 1 minute after "v2" takes traffic
      When "v2" is released as the "canary" plan says
      Then the alarm "shop-5xx-rate" goes off within 4 minutes of exposure
      And the alarm "shop-error-logs" may go off too
      And all customers are back on "v1" within 30 seconds of the alarm
      And service is restored within 4 minutes of the alarm
      And no acknowledged order is lost or doubled

  Rule: A database that is full turns the new version away, and not its customers

    @thorough
    Scenario: The database has no connections left, and the plan did not ask
      Given the "database" has no connections left
      When "v2" is released as the "canary" plan says
      Then the release is rolled back because of a failed health check
      And the alarm "shop-unhealthy-hosts" may go off too
      And version "v2" never serves anyone
      And version "v1" serves everyone
      And no acknowledged order is lost or doubled
