# `rehearse steps` lists every phrase that a scenario may use.
Feature: A release of menu that nobody notices, and a bad one that nobody meets

  Background:
    Given a staging copy of the menu, with version "stable" serving everyone

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
      And the alarm "menu-unhealthy" may go off too
      And version "next" never serves anyone
      And no request failed
