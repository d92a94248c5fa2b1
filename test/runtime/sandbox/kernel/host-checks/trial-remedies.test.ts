import { expect, test } from "vitest";
import { trialRemedies } from "../../../../../src/runtime/sandbox/kernel/host-checks/trial-remedies.ts";

test.for([
  ["unshare: unshare failed: No space left on device", "user.max_user_namespaces"],
  [
    "The VM did not boot: cannot make the VM's namespaces: ENOSPC, no space left on device",
    "user.max_user_namespaces",
  ],
  ["ENOSPC: no space left on device, write", "Free space"],
  ["EROFS: read-only file system, mkdir '/run/agent-vm/uids'", "mount a tmpfs"],
  ["The VM did not boot: cannot fork init: EAGAIN, resource temporarily unavailable", "--pids-limit"],
  ["unshare: fork failed: Resource temporarily unavailable", "--pids-limit"],
  ["spawn ENOMEM", "memory"],
  ["spawn EMFILE", "ulimit -n"],
  ["The VM did not boot: no answer within 30000 ms", "when it is idle"],
  ["something else", "report it"],
])("the remedy for %j names %j", ([message = "", remedy]) => {
  expect(trialRemedies(message).join(" ")).toContain(remedy);
});
