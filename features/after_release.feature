Feature: The released version is verified by what it answers

  Alarms watch everyone's requests. Beside them, requests with known answers are sent
  to the new version before and after each shift, and it is compared with the version
  before: what is a little slower sets no alarm off.

  Background:
    Given a staging copy of the shop, with version "v1" serving everyone
    And customers browse and order at 200 requests per second

  Rule: Smoke requests accompany each shift

    @thorough
    Scenario: Orders stop working just before the second shift
      Given version "v2" loses the "payments" 290 seconds after it takes traffic
      When "v2" is released as the team's plan says
      Then the release is rolled back because of the check at a shift
      And all customers are back on "v1" within 30 seconds of the decision
      And the alarm "shop-5xx-rate" may go off too
      And no acknowledged order is lost or doubled

  Rule: The new version is not slower than the one before

    @thorough
    Scenario: The new version is as fast as the old one
      When "v2" is released as the "canary" plan says
      Then the release succeeds
      And version "v2" answers as fast as "v1" (a slowdown above 50% would be noticed)

  Rule: A team says in its own words what a version must do

    Scenario: Customers can browse and order
      When "v2" is released as the "blue-green" plan says
      Then the release succeeds
      And the shop window of "v2" shows prices
      And a customer can order 2 pieces from "v2"
      And when a customer asks GET /products/1 of version "v2", the answer is 200 and contains "Notebook"

  Rule: Databases and programs can be asked, too

    @containers @thorough
    Scenario: Both migrations have run
      When the "database" is asked "SELECT version FROM schema_migrations ORDER BY version"
      Then the number of rows is 2
      And a row reads "002"

    @containers @thorough
    Scenario: A program of the released image says what is wrong
      When the command ["/shop", "healthcheck"] runs in the image of version "v2"
      Then the command ends with status 1
      And the command prints "the shop does not answer"
