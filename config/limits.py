"""Limits of the runtime: every queue, batch, body and wait has one, by name, with its unit."""

MESSAGE_BYTES_MAX = 512 * 1024  # a message's value; asserted when it is made
KEY_CHARS_MAX = 200  # an actor's id
BATCH_MESSAGES_MAX = 500  # records that one transaction handles
RELAY_BATCH_MAX = 500  # outbox rows in one append
RELAY_QUEUE_MAX = 20_000  # outbox rows that wait in memory before the loop waits for the relay
REPLY_TO_MAX = 8  # people who wait for one actor's final answer
PARKED_RUN_MAX = 500  # queued messages of a suspended actor that one healing handles
PRUNE_STEP_ROWS = 500
TIMER_STEP_ROWS = 500
ATTEMPTS_AT_ONCE = 8  # calls to the outside world under way in one process
ATTEMPT_CALL_MS_MAX = 10_000
OUTBOX_DELETE_DELAY_S = 0.2  # an idle service deletes what the bus has acknowledged after this
STOP_S_MAX = 10.0  # a graceful stop is not longer
SCAN_EVERY_MS = 1_000  # the scanner's safety net; it wakes by itself when something is due or new
START_S_MAX = 30.0  # a step of a start that is not done by then is given up and tried anew
