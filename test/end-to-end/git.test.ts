// @module-tag slow
import { execFileSync } from "node:child_process";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { createClient } from "../../src/client/index.ts";
import type { registry } from "../../src/server.ts";
import { seededRandom } from "../support/random.ts";
import { startTestServer } from "../support/servers.ts";
import { temporaryFolder } from "../support/temporary-folder.ts";

const FILES = 2_000;
const DIRECTORIES = 40;

const folder = temporaryFolder();

/** Makes a bare repository on the host, as a tar archive: two commits, files of many sizes. */
function bareRepository(): Uint8Array {
  const work = join(folder, "work");
  const git = (...args: string[]) =>
    execFileSync("git", ["-c", "user.email=a@b", "-c", "user.name=a", ...args], { cwd: work });
  for (let index = 0; index < DIRECTORIES; index++) mkdirSync(join(work, `d${index}`), { recursive: true });
  git("init", "-q");
  const random = seededRandom(1);
  for (let index = 0; index < FILES; index++) {
    const content = `line of ${index}\n`.repeat(1 + random.below(400));
    writeFileSync(join(work, `d${index % DIRECTORIES}`, `f${index}`), content);
  }
  git("add", ".");
  git("commit", "-qm", "first");
  writeFileSync(join(work, "d0", "f0"), "changed\n");
  git("commit", "-qam", "second");
  git("clone", "-q", "--bare", ".", "../bare.git");
  execFileSync("tar", ["-cf", "bare.tar", "bare.git"], { cwd: folder });
  return readFileSync(join(folder, "bare.tar"));
}

async function start() {
  const server = await startTestServer({
    kind: "scripted",
    process: true,
    dataDir: join(folder, "data"),
    env: { SLEEP_TIMEOUT_MS: "500" },
  });
  const client = createClient<typeof registry>({ endpoint: server.endpoint });
  onTestFinished(async () => {
    await client.dispose();
    await server.stop();
  });
  return { server, vm: client.vm.getOrCreate("git") };
}

/** Prints the clone's number of files, its uncommitted changes, the outcome of fsck, and its log. */
const CHECK =
  "git -C /workspace/clone ls-files | wc -l; git -C /workspace/clone status --porcelain; git -C /workspace/clone fsck --full --strict 2>/dev/null; echo $?; git -C /workspace/clone log --format=%s";
const WHOLE = `${FILES}\n0\nsecond\nfirst\n`;

test(`a clone of ${FILES} files is whole after a sleep, after kill -9, and after kill -9 while git works`, async () => {
  const first = await start();
  await first.vm.writeFile("/tmp/bare.tar", bareRepository());
  const cloned = await first.vm.exec(
    "tar -xf /tmp/bare.tar -C /workspace && git clone -q /workspace/bare.git /workspace/clone && stat -c %Z /proc/1",
  );
  expect([cloned.exitCode, cloned.stderr]).toEqual([0, ""]);

  // No client is connected, so the VM falls asleep. The polling call wakes it.
  const bootId = async () => (await first.vm.exec("stat -c %Z /proc/1")).stdout;
  await expect.poll(bootId, { interval: 3_000, timeout: 60_000 }).not.toBe(cloned.stdout);
  expect((await first.vm.exec(CHECK)).stdout).toBe(WHOLE);

  await first.vm.checkpoint();
  first.server.process.kill("SIGKILL");
  await first.server.exited;
  const second = await start();
  expect((await second.vm.exec(CHECK)).stdout).toBe(WHOLE);

  // The kill hits git at any moment of a checkout or a repack.
  await second.vm.spawn("bash", [
    "-c",
    "cd /workspace/clone; while :; do git checkout -q HEAD~1; git checkout -q -; git repack -adq; done",
  ]);
  await second.vm.checkpoint();
  second.server.process.kill("SIGKILL");
  await second.server.exited;
  const third = await start();
  const { stdout } = await third.vm.exec(
    "rm -f .git/*.lock; git fsck --full --strict 2>&1 | grep -v dangling; git reset -q --hard origin/HEAD; git status --porcelain; git ls-files | wc -l",
    { cwd: "/workspace/clone" },
  );
  expect(stdout).toBe(`${FILES}\n`);
});
