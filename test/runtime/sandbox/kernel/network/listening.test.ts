import { closeSync, mkdirSync, openSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { listListening } from "../../../../../src/runtime/sandbox/kernel/network/listening.ts";
import { PoolPlace } from "../../../../../src/runtime/sandbox/kernel/pool-place.ts";
import {
  type ProcessLook,
  ProcessReads,
} from "../../../../../src/runtime/sandbox/kernel/procfs/process-reads.ts";
import { testFolder } from "../../../../support/temporary-folder.ts";

const SOCKET =
  "   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 777 1 0 100 0 0 10 0\n";

/** Makes the procfs of a VM whose process 7 listens at port 8080. */
function procfs(command: string): string {
  const folder = testFolder();
  mkdirSync(join(folder, "1/net"), { recursive: true });
  mkdirSync(join(folder, "7/fd"), { recursive: true });
  writeFileSync(join(folder, "1/net/tcp"), `header\n${SOCKET}`);
  writeFileSync(join(folder, "1/net/tcp6"), "header\n");
  writeFileSync(join(folder, "7/comm"), `${command}\n`);
  writeFileSync(join(folder, "7/cmdline"), "");
  symlinkSync("socket:[777]", join(folder, "7/fd/3"));
  return folder;
}

/** Looks that wait while work of a test is done. */
class Waiting extends ProcessReads {
  readonly #wait: () => void;

  constructor(wait: () => void) {
    super(new AbortController().signal, new PoolPlace());
    this.#wait = wait;
  }

  override begin(): ProcessLook {
    const wait = this.#wait;
    const look = super.begin();
    const readStart = look.readStart.bind(look);
    look.readStart = async (...args) => {
      const bytes = await readStart(...args);
      wait();
      return bytes;
    };
    return look;
  }
}

test("the list of a VM that ends meanwhile has nothing of the VM whose procfs gets the number of its descriptor", async () => {
  const procFd = openSync(procfs("own"), "r");
  const other = procfs("of-another-vm");
  const closed = new AbortController();
  let reused = -1;
  const reads = new Waiting(() => {
    closed.abort(new Error("The VM has ended"));
    closeSync(procFd);
    reused = openSync(other, "r");
  });
  try {
    await expect(listListening(procFd, new Map(), reads, closed.signal)).rejects.toThrow("The VM has ended");
    expect(reused).toBe(procFd);
  } finally {
    closeSync(reused);
  }
});

test("lists a socket with the process that holds it", async () => {
  const procFd = openSync(procfs("own"), "r");
  const reads = new Waiting(() => undefined);
  try {
    expect(await listListening(procFd, new Map(), reads, new AbortController().signal)).toEqual([
      { port: 8080, address: "127.0.0.1", pid: 7, command: "own" },
    ]);
  } finally {
    closeSync(procFd);
  }
});
