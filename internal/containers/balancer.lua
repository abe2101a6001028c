-- The answer waits for as long as its version's answers are delayed; HAProxy
-- serves others meanwhile.
core.register_action("delay", { "http-res" }, function(txn)
    local ms = txn:get_var("txn.delay")
    core.msleep(ms)
    txn:set_var("txn.slept", ms)
end)
