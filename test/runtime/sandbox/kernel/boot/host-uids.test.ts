// @module-tag any-user
// @module-tag slow
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, onTestFinished, test } from "vitest";

const CLAIMS = "/run/agent-vm/uids";
const IDENTITY = fileURLToPath(
  new URL("../../../../../src/runtime/sandbox/kernel/boot/host-uids.ts", import.meta.url),
);

/** Of a process that there cannot be. */
const STALE = "4194305 1";

/** Waits for the same moment as the others, then says which uid it has, and lives until its stdin ends. */
const SERVER = `
  import { acquireUid } from ${JSON.stringify(IDENTITY)};
  const at = Number(process.argv[1]);
  while (Date.now() < at);
  console.log(acquireUid());
  process.stdin.resume();
`;

const left = new Set<string>();

/** Claims of servers that are no more, under numbers that nobody has. */
function leaveStaleClaims(count: number): void {
  mkdirSync(CLAIMS, { recursive: true, mode: 0o700 });
  for (let index = 0, more = count; more > 0; index++) {
    const claim = join(CLAIMS, String(index));
    if (existsSync(claim)) continue;
    writeFileSync(claim, STALE, { flag: "wx" });
    left.add(claim);
    more--;
  }
}

function dropStaleClaims(): void {
  for (const claim of left) {
    if (existsSync(claim) && readFileSync(claim, "utf8") === STALE) rmSync(claim);
  }
}

test.runIf(process.getuid?.() === 0)(
  "servers that start at once share no uid, and none trips over what another clears away",
  async () => {
    onTestFinished(dropStaleClaims);
    for (let round = 0; round < 4; round++) {
      leaveStaleClaims(20);
      const at = String(Date.now() + 700);
      const servers = Array.from({ length: 6 }, () =>
        spawn(process.execPath, ["--input-type=module", "--eval", SERVER, at], {
          stdio: ["pipe", "pipe", "inherit"],
        }),
      );
      const uids = await Promise.all(
        servers.map(async (server) => {
          const failed = once(server, "close").then(() => Promise.reject(new Error("a server has ended")));
          const [said] = await Promise.race([once(server.stdout, "data"), failed]);
          return Number(String(said));
        }),
      );
      expect(new Set(uids.map((uid) => Math.floor(uid / 4096))).size).toBe(servers.length);
      const ends = servers.map((server) => once(server, "close"));
      for (const server of servers) server.stdin.end();
      for (const [code] of await Promise.all(ends)) expect(code).toBe(0);
    }
    expect(readdirSync(CLAIMS).filter((name) => /after/.test(name))).toEqual([]);
  },
);
