Feature: A release has room enough while it goes on

  While one version drains and the other takes over, fewer replicas may serve than on any
  other day. And not every replica is as good as the next: one is slow, one gets more than
  its share, or a whole availability zone goes.

  Background:
    Given a staging copy of the shop, with version "v1" serving everyone
    And customers browse and order at 200 requests per second

  Rule: The release itself slows nobody down

    @thorough @alone
    Scenario: The new version takes over while the old one drains
      When "v2" is released as the "rolling" plan says
      Then the release succeeds
      And no request failed
      And 99% of the answers come within 300 milliseconds all through

  Rule: The replicas that are left bear the load while one version drains

    @thorough @alone
    Scenario: The old version drains at half as much again as on any other day
      Given each replica has 50% of a core
      When "v1" drains and "v2" takes over at 300 requests per second, as the "blue-green" plan says
      Then p99 stays under 300 ms and at most 1% of the requests fail
      And no acknowledged order is lost or doubled

  Rule: A balancer that is not fair is noticed only where a replica is full

    @thorough @alone
    Scenario: One replica of the new version gets three times its share
      Given one replica of version "v2" gets 3 times as many requests as each other
      When "v2" is released as the "canary" plan says
      Then the release succeeds
      And 99% of the answers come within 300 milliseconds all through

  Rule: A replica that is slow and passes its health check is seen by the alarm on latency

    Scenario: One replica of the new version is slow
      Given one replica of version "v2" answers 900 milliseconds late
      When "v2" is released as the "canary" plan says
      Then the alarm "shop-p99-latency" goes off within 5 minutes of exposure
      And all customers are back on "v1" within 30 seconds of the alarm
      And service is restored within 1 minute of the alarm

  Rule: The other zone carries the users when one is lost

    @thorough
    Scenario: An availability zone is lost in the middle of a release
      Given zone "b" is lost 1 minute after "v2" takes traffic
      When "v2" is released as the "canary" plan says
      Then the release is rolled back because of a failed health check
      And the alarm "shop-unhealthy-hosts" may go off too
      And all customers are back on "v1" within 30 seconds of the decision
      And at most 1% of all requests failed
      And no acknowledged order is lost or doubled
