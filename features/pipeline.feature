@pipeline
Feature: A push that should not reach the users does not

  The team's own GitHub Actions workflow runs for each push: build, test, deploy,
  monitor, verify. Its deploy job carries out the team's plan.

  Background:
    Given a staging copy of the shop, with version "v1" serving everyone
    And customers browse and order at 200 requests per second

  Rule: What fails before the release never begins it

    @thorough
    Scenario: A test fails
      When version "v2" is pushed with a failing test
      Then the pipeline stops at "test"
      And nothing was deployed
      And production still serves "v1"

    @thorough
    Scenario: The code does not build
      When version "v2" is pushed with code that does not build
      Then the pipeline stops at "build"
      And nothing was deployed
      And production still serves "v1"

    @thorough
    Scenario: The push comes when nothing may be released
      Given the push comes outside the plan's window
      When version "v2" is pushed
      Then the pipeline stops at "deploy"
      And nothing was deployed
      And production still serves "v1"

  Rule: What goes wrong while it is released stops the pipeline

    @thorough
    Scenario: The new version loses the payments API while its first customers order
      Given version "v2" loses the "payments" 1 minute after it takes traffic
      When version "v2" is pushed
      Then the pipeline stops at "deploy"
      And the release is rolled back because of an alarm
      And the alarm "shop-5xx-rate" may go off too
      And the alarm "shop-error-logs" may go off too
      And production still serves "v1"

  Rule: What is well reaches everyone

    Scenario: Everything passes
      When version "v2" is pushed and everything passes
      Then the pipeline has released "v2"
      And no request failed
      And no alarm goes off
