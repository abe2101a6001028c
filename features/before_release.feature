Feature: The staging copy is checked before a release starts

  What is known to be broken is not released into. Before anything is deployed the
  team's plan asks for the database and its migrations, for the payments API and its
  contract, for the version to go back to, for room, and for alarms that can see.

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
    Scenario: The database has no connections left for the new version
      Given the "database" has no connections left
      When "v2" is released as the team's plan says
      Then the release is refused before it starts
      And version "v2" never serves anyone

    @thorough
    Scenario: The new version cannot reach the payments API
      Given version "v2" cannot reach the "payments"
      When "v2" is released as the team's plan says
      Then the release is refused before it starts
      And version "v2" never serves anyone

    @thorough
    Scenario: The new version needs a migration that has not run
      Given version "v2" needs migration "003"
      When "v2" is released as the team's plan says
      Then the release is refused before it starts
      And version "v2" never serves anyone

  Rule: Each check says by itself what is wrong

    Scenario: Everything is ready for the new version
      When version "v2" is checked before its release
      Then every check before the release passes
      And no request failed

    @thorough
    Scenario: The payments API is out of reach
      Given version "v2" cannot reach the "payments"
      When version "v2" is checked before its release
      Then the check "contract of payments" fails
      And the check "connection to database" passes
      And the check "rollback artefact" passes

    @thorough
    Scenario: The version to go back to does not start any more
      Given version "v1" crashes at start
      When version "v2" is checked before its release
      Then the check "rollback artefact" fails
      And the check "connection to payments" passes
      And the alarm "shop-5xx-rate" may go off too
      And the alarm "shop-unhealthy-hosts" may go off too

  Rule: A release does not start while an alarm is red

    @thorough
    Scenario: Customers are suffering already
      Given version "v1" has been failing 5% of its requests until the alarm "shop-5xx-rate" went off
      When "v2" is released as the team's plan says
      Then the release is refused because an alarm is red already
      And version "v2" never serves anyone
