-- The answer waits for as long as the variable says; HAProxy serves others meanwhile.
local function hold(name)
    core.register_action(name, { "http-res" }, function(txn)
        local ms = txn:get_var("txn." .. name)
        core.msleep(ms)
        txn:set_var("txn.slept", (txn:get_var("txn.slept") or 0) + ms)
    end)
end
hold("delay") -- a share of a version's answers
hold("slow")  -- every answer of one replica

-- Which requests a failure of a share of them hits: by the additive recurrence of the
-- golden ratio, whose every stretch is spread as evenly as can be. Of few requests, as
-- they are while time runs ahead, the rare failure is there, too, and no rhythm of the
-- traffic or of the replicas falls into step with it.
local last = {}
core.register_fetches("spread", function(_, what, parts)
    last[what] = ((last[what] or math.random()) + 0.6180339887498949) % 1
    return math.floor(last[what] * parts)
end)
