# `rehearse steps` lists every phrase that a scenario may use.
Feature: A release of gateway that nobody notices, and a bad one that nobody meets

  Background:
    Given a staging copy of the gateway, with version "stable" serving everyone

  Rule: A good version reaches everyone without a failed request

    Scenario: The new version is all right
      When "next" is released as the team's plan says
      Then the release succeeds
      And version "next" serves everyone
      And no request failed
      And no alarm goes off

  Rule: A version that does not become healthy never meets a user

    Scenario: The new version crashes at start
      Given version "next" crashes at start
      When "next" is released as the team's plan says
      Then the release is rolled back because of a failed health check
      And the alarm "gateway-unhealthy-hosts" may go off too
      And version "next" never serves anyone
      And no request failed

  Rule: An alarm takes a bad version back

    Scenario: The new version fails half of its requests
      Given version "next" fails 50% of its requests
      When "next" is released as the team's plan says
      Then the alarm "gateway-5xx-rate" goes off within 4 minutes of exposure
      And all customers are back on "stable" within 30 seconds of the alarm
