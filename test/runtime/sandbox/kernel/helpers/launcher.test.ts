// @module-tag any-user
import { closeSync, constants, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { Server } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { expect, onTestFinished, test } from "vitest";
import { encodeFrame } from "../../../../../src/runtime/sandbox/kernel/helpers/frames.ts";
import { launch } from "../../../../../src/runtime/sandbox/kernel/helpers/launch.ts";
import type { LaunchRequest } from "../../../../../src/runtime/sandbox/kernel/helpers/launcher.ts";
import {
  CHANNEL_FD,
  closeHandle,
} from "../../../../../src/runtime/sandbox/kernel/helpers/launcher-channel.ts";
import { O_PATH } from "../../../../../src/runtime/sandbox/posix.ts";
import { ownDescendants } from "../../../../support/host.ts";
import { startVm } from "../../../../support/vm.ts";

/** Runs a line of a shell. @returns its output, and how it has ended */
async function run(line: string, more: Partial<LaunchRequest> = {}) {
  const program = await launch({ command: ["/bin/sh", "-c", line], ...more });
  const [stdout, stderr, exit] = await Promise.all([
    text(program.stdout),
    text(program.stderr),
    program.exited,
  ]);
  return { stdout, stderr, ...exit };
}

/** Pids of this process's launchers. */
const launchers = () =>
  ownDescendants().filter((pid) => {
    try {
      return readFileSync(`/proc/${pid}/cmdline`, "utf8").startsWith("agentos-launcher");
    } catch {
      // The process has just ended.
      return false;
    }
  });

test("a program has a session of its own, no variable of the server but PATH, and no descriptor but its three", async () => {
  const { stdout, code } = await run("env | cut -d= -f1 | grep -v '^PWD$\\|^_$\\|^OLDPWD$\\|^SHLVL$'; pwd");
  expect(stdout).toBe("PATH\n/\n");
  expect(code).toBe(0);
  const { stdout: descriptors } = await run("exec ls -l /proc/self/fd");
  // /dev/null takes the place of a descriptor that the server itself has inherited. The last one is that of the listing.
  const targets = [...descriptors.matchAll(/ -> (.*)/g)].map(([, target = ""]) => target);
  expect(targets.filter((target) => !/^\/dev\/null$|^\/proc\//.test(target))).toEqual(
    Array.from({ length: 3 }, () => expect.stringMatching(/^pipe:/)),
  );
  expect((await run("test $(cut -d' ' -f6 /proc/$$/stat) = $$")).code).toBe(0);
});

test("a program's end is reported with its code, or with its signal", async () => {
  expect(await run("echo no >&2; exit 3")).toEqual({ stdout: "", stderr: "no\n", code: 3, signal: null });
  expect(await run("kill -TERM $$")).toMatchObject({ code: null, signal: "SIGTERM" });
  const missing = await launch({ command: ["/no/such/program"] });
  expect(await text(missing.stderr)).toContain("cannot start /no/such/program");
  expect(await missing.exited).toMatchObject({ code: 127 });
});

test("the launcher ends with the last program, and its end is the end of each program", async () => {
  const program = await launch({ command: ["/bin/cat"] });
  const another = await launch({ command: ["/bin/sleep", "1000"] });
  program.stdin.end();
  await program.exited;
  // A program has the name of the launcher until it has been loaded.
  await expect.poll(launchers).toHaveLength(1);
  process.kill(launchers()[0] as number, "SIGKILL");
  expect(await another.exited).toEqual({ code: null, signal: "SIGKILL" });
  expect((await run("echo again")).stdout).toBe("again\n");
  expect(ownDescendants()).toEqual([]);
});

test("a VM whose launcher was killed boots again", async () => {
  const { vm } = startVm();
  await vm.writeFile("/workspace/file", "text");
  await vm.exec("true");
  await expect.poll(launchers).toHaveLength(1);
  process.kill(launchers()[0] as number, "SIGKILL");
  await expect
    .poll(() => vm.exec("cat /workspace/file").catch(() => undefined))
    .toMatchObject({ exitCode: expect.any(Number) });
});

test("a program gets a directory of the server, also if the server closes it at once", async () => {
  const folder = mkdtempSync(join(tmpdir(), "launcher-"));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  writeFileSync(join(folder, "inside"), "");
  const rootFd = openSync(folder, O_PATH | constants.O_DIRECTORY);
  const running = run("ls /proc/self/fd/3/", { rootFd });
  closeSync(rootFd);
  const other = openSync("/", O_PATH | constants.O_DIRECTORY);
  onTestFinished(() => closeSync(other));
  expect((await running).stdout).toBe("inside\n");
});

test("sockets of programs that share the channel reach the one that asked", async () => {
  const ports: number[][] = [[], []];
  const programs = await Promise.all(
    ports.map((found) =>
      launch({
        command: ["connector", String(CHANNEL_FD), "0"],
        onPassed: (_, handle) => {
          if (handle instanceof Server) found.push((handle.address() as { port: number }).port);
          closeHandle(handle);
        },
      }),
    ),
  );
  const listen = encodeFrame("l", 1, Buffer.alloc(2));
  for (const [index, program] of programs.entries())
    program.stdin.write(index === 0 ? listen : Buffer.concat([listen, listen]));
  await expect.poll(() => ports.map(({ length }) => length)).toEqual([1, 2]);
  expect(new Set(ports.flat()).size).toBe(3);
  for (const program of programs) program.kill();
  await Promise.all(programs.map(({ exited }) => exited));
});
