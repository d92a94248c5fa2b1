// @module-tag slow
// @module-tag attack
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { isRoot } from "../../../../support/host.ts";
import { startVm } from "../../../../support/vm.ts";

const GIB = 1024 ** 3;
const MOST = Number(readFileSync("/proc/sys/fs/epoll/max_user_watches", "utf8"));

/** Watches that one program can have: each of its epoll descriptors watches each of its other descriptors. */
const DESCRIPTORS = 2000;

/** Adds watches until the kernel refuses one, and prints their number and the error. */
const FILL = `
import os, select, time
files, count, error = [], 0, 0
while len(files) < ${DESCRIPTORS}: files += os.pipe()
epolls = []
try:
  for _ in range(${DESCRIPTORS}):
    epolls.append(select.epoll())
    for file in files: epolls[-1].register(file, 0); count += 1
except OSError as refused: error = refused.errno
print(count, error, flush=True)
`;

const ADD_SOME = `${FILL.replaceAll(String(DESCRIPTORS), "100")}`;

// The kernel counts watches for each user, and all VMs of an ordinary user's server share one: docs/security.md.
test.runIf(isRoot && MOST <= 4 * DESCRIPTORS ** 2)(
  "a VM that takes all watches of epoll that the kernel gives it leaves theirs to another VM and to the server",
  async () => {
    const { vm } = startVm({ limits: { memoryBytes: 6 * GIB } });
    const witness = startVm();
    let taken = 0;
    for (let programs = 0, error = "0"; error === "0"; programs++) {
      expect(programs).toBeLessThan(5);
      const { stdout } = await vm.exec(
        `python3 -c '${FILL}time.sleep(1001)' > out${programs} & while [ ! -s out${programs} ]; do sleep 0.1; done; cat out${programs}`,
      );
      const [count, refusal = ""] = stdout.trim().split(" ");
      taken += Number(count);
      error = refusal;
    }
    expect(taken).toBeGreaterThan(0.9 * MOST);
    const { stdout: others } = await witness.vm.execArgv("python3", ["-c", ADD_SOME]);
    expect(others).toBe("10000 0\n");
    expect(execFileSync("python3", ["-c", ADD_SOME], { encoding: "utf8" })).toBe("10000 0\n");
    // A Node without a watch for a new descriptor aborts.
    const fresh = startVm();
    expect((await fresh.vm.exec("echo started")).stdout).toBe("started\n");
  },
);
