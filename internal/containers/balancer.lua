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
