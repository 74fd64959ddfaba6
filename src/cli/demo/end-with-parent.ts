/** Loaded into each process of the demo before its own code: when the demo is gone, however it went, so is the process. */
process.once('disconnect', () => process.kill(process.pid, 'SIGTERM'));
// The channel alone must not keep a sidecar alive that has drained.
process.channel?.unref();
