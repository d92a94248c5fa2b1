// @module-tag attack
import { spawn } from "node:child_process";
import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { expect, test } from "vitest";
import { encodeFrame } from "../../../../../src/runtime/sandbox/kernel/helpers/frames.ts";
import { launch } from "../../../../../src/runtime/sandbox/kernel/helpers/launch.ts";
import { helperCommand, helperSource } from "../../../../../src/runtime/sandbox/kernel/helpers/programs.ts";
import { findTool } from "../../../../../src/runtime/sandbox/kernel/tools.ts";
import { temporaryFolder } from "../../../../support/temporary-folder.ts";

const perl = findTool("perl") as string;

/** Milliseconds within which a program ends, however busy the machine is. */
const END_MS = 20_000;

/** A pid that no process has: the largest number of a pid is 4,194,304. */
const NO_PID = 9_999_999;

/** Namespaces of a boot: CLONE_NEWPID, CLONE_NEWUSER and CLONE_NEWIPC. */
const OF_BOOT = 0x20000000 | 0x10000000 | 0x08000000;

type Name = "enter" | "gateway" | "holes" | "interceptor";

/** Runs a real program in user and network namespaces of its own. `shell` opens its descriptors. */
async function run(name: Name, args: readonly (string | number)[], shell = "exec 3<&-") {
  const command = helperCommand(perl, helperSource(name), args);
  const child = spawn(
    "unshare",
    ["--user", "--map-root-user", "--net", "bash", "-c", `${shell}; exec "$@"`, name, ...command],
    { stdio: ["ignore", "pipe", "pipe"], timeout: END_MS, killSignal: "SIGKILL" },
  );
  const ended = once(child, "close");
  const [output, errors, [code, signal]] = await Promise.all([text(child.stdout), text(child.stderr), ended]);
  return { output, errors, code, signal };
}

const refused = (message: string) => ({
  ...{ output: "", code: 1, signal: null },
  errors: expect.stringMatching(new RegExp(`^${message}, error \\d+\\n$`)),
});

test.each(["gateway", "interceptor"] as const)(
  "%s ends with a message for arguments that lead nowhere",
  async (name) => {
    expect(await run(name, [77, 0, 0])).toEqual(refused("no channel"));
    const channel = "exec 3<> /dev/null";
    expect(await run(name, [3, NO_PID, 0, 0, 0], channel)).toEqual(refused("cannot open the VM's network"));
  },
);

test("gateway ends with a message for a descriptor that is not a socket of a gateway", async () => {
  const channel = "exec 3<> /dev/null 4< /dev/null";
  expect(await run("gateway", [3, 0, 99], channel)).toEqual(refused("no socket of the gateway"));
  expect(await run("gateway", [3, 0, 4], channel)).toEqual(refused("cannot find the gateway"));
});

test("enter ends with a message for a VM or a cgroup that there is not", async () => {
  const before = [-1, -1, 64, 0];
  const namespaces = refused("cannot open the VM's namespaces");
  expect(await run("enter", [])).toEqual(namespaces);
  expect(await run("enter", [NO_PID, ...before, "", 0, "/bin/true"])).toEqual(namespaces);
  expect(await run("enter", ["x", ...before, "", 0, "/bin/true"])).toEqual(namespaces);
  const cgroup = [NO_PID, ...before, "", 1, "/gone/cgroup.procs", "/bin/true"];
  expect(await run("enter", cgroup)).toEqual(refused("cannot open the VM's cgroup"));
});

test("enter ends with a message for a process that is not a VM", async () => {
  const { errors, ...ended } = await run("enter", [process.pid, -1, -1, 64, 0, "", 0, "/bin/true"]);
  expect(ended).toEqual({ output: "", code: 1, signal: null });
  expect(errors).toMatch(/^cannot (enter|open the VM's (outer user namespace|namespaces)), error \d+\n$/);
});

test("holes breaks off for a descriptor of which the kernel tells no parts", async () => {
  const broken = { output: "", errors: "", code: 2, signal: null };
  expect(await run("holes", [0, 8, 0])).toEqual(broken);
  expect(await run("holes", [0, 8, 0], "exec 3< <(:)")).toEqual(broken);
});

test("holes lists no more parts than it is asked for, and none outside of the file", async () => {
  const file = join(temporaryFolder(), "file");
  writeFileSync(file, "text");
  const none = encodeFrame("h", 0).toString();
  for (const args of [[], [0, 0, 0], [0, -1, 0], [-1, 8, 0], [100, 8, 0]])
    expect(await run("holes", args, `exec 3< '${file}'`)).toEqual({
      ...{ output: none, errors: "", code: 0, signal: null },
    });
});

/** Boots from a plan that is given in bytes, in namespaces that hold only this boot. */
async function boot(plan: Uint8Array | undefined, settings: Record<string, string> = {}) {
  const folder = temporaryFolder();
  const path = join(folder, "plan");
  if (plan !== undefined) writeFileSync(path, plan);
  const given = {
    uid: "-1",
    gid: "-1",
    plan: path,
    cat: path,
    init: "/cat",
    root: folder,
    options: "",
    ...settings,
  };
  const pairs = Object.entries(given).flat();
  const keeper = await launch({
    command: ["boot", String(pairs.length / 2), ...pairs, "0", "0"],
    namespaces: OF_BOOT,
  });
  keeper.stdin.end();
  const [output, errors, exit] = await Promise.all([text(keeper.stdout), text(keeper.stderr), keeper.exited]);
  return { output, errors, ...exit };
}

const record = (...strings: string[]) =>
  Buffer.concat(
    strings.map((string) => {
      const head = Buffer.alloc(4);
      head.writeUInt32BE(string.length);
      return Buffer.concat([head, Buffer.from(string)]);
    }),
  );

test("boot ends with a message for a plan that is missing, cut off, or made of other things", async () => {
  const directory = record("directory", "/one", "755", "");
  const cases: [Uint8Array | undefined, string][] = [
    [undefined, "cannot read /.*/plan, error 2"],
    [record("directory", "/no/such/folder", "755", ""), "cannot make the directory /no/such/folder, error 2"],
    [Buffer.concat([directory, directory]), "cannot make the directory /one, error 17"],
    [record("folder", "/gone", "/also/gone", ""), "cannot mount the folder /gone, error 2"],
    [record("anything", "/one", "", ""), "Can't use .* as a subroutine"],
    [Buffer.concat([directory, record("folder", "/one").subarray(0, -2)]), "cannot mount the folder "],
  ];
  for (const [plan, message] of cases) {
    const { output, errors, code, signal } = await boot(plan);
    expect(errors).toMatch(new RegExp(message));
    expect([output, signal]).toEqual(["", null]);
    expect(code).not.toBe(0);
  }
});

test("boot ends with a message for a root and for options that the kernel refuses", async () => {
  expect(await boot(record(), { root: "/gone" })).toMatchObject({
    errors: expect.stringMatching(/^cannot mount the VM's root, error 2\n/),
    code: 1,
  });
  expect(await boot(record(), { options: "nothing=known" })).toMatchObject({
    errors: expect.stringMatching(/^cannot mount the VM's root, error 22\n/),
    code: 1,
  });
});
