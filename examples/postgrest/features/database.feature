Feature: The library's API and its database

  Background:
    Given a staging copy of the api, with version "stable" serving everyone

  Rule: A version that cannot use the database is not released

    Scenario: The new version cannot reach the database
      Given version "next" cannot reach the "database"
      When "next" is released as the team's plan says
      Then the release is refused before it starts
      And version "next" never serves anyone

    Scenario: The new version is deployed without the address of the database
      Given version "next" is deployed without the variable "PGRST_DB_URI"
      When "next" is released as the team's plan says
      Then the release is refused before it starts
      And version "next" never serves anyone

  Rule: A version that loses the database is taken back, and no loan is lost

    Scenario: The new version loses the database
      Given version "next" loses the "database" 1 minute after it takes traffic
      When "next" is released as the team's plan says
      Then the release is rolled back because of a failed health check
      And the alarm "api-5xx-rate" may go off too
      And the alarm "api-unhealthy-hosts" may go off too
      And all customers are back on "stable" within 30 seconds of the decision
      And no acknowledged order is lost or doubled

    Scenario: The database answers the new version slowly
      Given the "database" answers version "next" 800 ms late, from 1 minute after it takes traffic
      When "next" is released as the team's plan says
      Then the alarm "api-p99-latency" goes off within 4 minutes of exposure
      And all customers are back on "stable" within 30 seconds of the alarm
      And no request failed
