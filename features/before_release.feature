Feature: The staging copy is checked before a release starts

  What is known to be broken is not released into. The team's plan asks for the
  database connection and for the payments API before anything is deployed.

  Background:
    Given a staging copy of the shop, with version "v1" serving everyone
    And customers browse and order at 200 requests per second

  Rule: A failed check stops the release before it starts

    Scenario: The new version cannot connect to the database
      Given version "v2" cannot reach the "database"
      When "v2" is released as the team's plan says
      Then the release is refused before it starts
      And version "v2" never serves anyone

    @thorough
    Scenario: The new version cannot reach the payments API
      Given version "v2" cannot reach the "payments"
      When "v2" is released as the team's plan says
      Then the release is refused before it starts
      And version "v2" never serves anyone

  Rule: A release does not start while an alarm is red

    @thorough
    Scenario: Customers are suffering already
      Given version "v1" has been failing 5% of its requests until the alarm "shop-5xx-rate" went off
      When "v2" is released as the team's plan says
      Then the release is refused because an alarm is red already
      And version "v2" never serves anyone
