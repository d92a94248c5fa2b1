// @module-tag attack
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import {
  encodeFrame,
  type Frame,
  FrameReader,
} from "../../../../../src/runtime/sandbox/kernel/helpers/frames.ts";
import { helperCommand, helperSource } from "../../../../../src/runtime/sandbox/kernel/helpers/programs.ts";
import { findTool } from "../../../../../src/runtime/sandbox/kernel/tools.ts";
import { temporaryFolder } from "../../../../support/temporary-folder.ts";

const perl = findTool("perl") as string;

/** Milliseconds within which the program ends, however busy the machine is. */
const END_MS = 20_000;

/** Runs a real mounter in a mount namespace of its own, then lists the mounts in the folder that stands for the VM's root. */
async function mount(args: Record<string, string | number>, answer?: Buffer) {
  const root = temporaryFolder();
  mkdirSync(join(root, "place"));
  const numbers = [3, 4, -1, -1];
  const mounter = helperCommand(perl, helperSource("mounter"), [...numbers, ...Object.entries(args).flat()]);
  const script = `exec 3< "$0" 4< /proc/self/ns/mnt; "$@"; code=$?; grep -c " $0/" /proc/self/mountinfo >&2; exit $code`;
  const child = spawn(
    "unshare",
    ["--user", "--map-root-user", "--mount", "bash", "-c", script, root, ...mounter],
    { timeout: END_MS, killSignal: "SIGKILL" },
  );
  const frames: Frame[] = [];
  const reader = new FrameReader();
  child.stdout.on("data", (data: Buffer) => {
    frames.push(...reader.push(data));
    if (answer !== undefined && frames.some(({ kind }) => kind === "m")) child.stdin.end(answer);
  });
  child.stdin.on("error", () => undefined);
  if (answer === undefined) child.stdin.end();
  let errors = "";
  child.stderr.setEncoding("utf8").on("data", (data: string) => {
    errors += data;
  });
  const [code, signal] = await once(child, "close");
  const shown = frames.map(({ kind, number, body }) => [kind, kind === "e" ? body.toString() : number]);
  return { code, signal, frames: shown, mounts: Number(errors.trim()) };
}

const memory = { do: "memory", target: "place", options: "size=4096", readonly: 0 };

test("a mount stays if the server keeps it, and goes if the server does not, or is gone", async () => {
  expect(await mount(memory, encodeFrame("k", 0))).toEqual({
    ...{ code: 0, signal: null, frames: [["m", 0]], mounts: 1 },
  });
  const left = { code: 0, signal: null, frames: [["m", 0]], mounts: 0 };
  expect(await mount(memory, encodeFrame("z", 0))).toEqual(left);
  expect(await mount(memory)).toEqual(left);
  expect(await mount(memory, encodeFrame("k", 0).subarray(0, 6))).toEqual(left);
});

test("a frame that breaks the protocol ends the program, and takes the mount away", async () => {
  for (const frame of [Buffer.alloc(4), Buffer.alloc(9, 0xff)])
    expect(await mount(memory, frame)).toMatchObject({ code: 2, signal: null, mounts: 0 });
});

test("arguments that lead nowhere end the program with the step that failed, and leave no mount", async () => {
  const cases: [Record<string, string | number>, string][] = [
    [{ ...memory, target: "gone" }, "target"],
    [{ ...memory, target: "a\nb/../../.." }, "target"],
    [{ ...memory, options: "nothing=known" }, "tmpfs"],
    [{ do: "host", target: "place", folder: "/gone", name: "", ids: "", readonly: 1 }, "folder"],
    [{ do: "host", target: "place", folder: "/usr", name: "../etc", ids: "", readonly: 1 }, "folder"],
    [{ do: "overlay", target: "place", folder: "/usr", name: "", ids: "", upper: "no", work: "no" }, "upper"],
    [{ do: "unmount" }, "detach"],
  ];
  for (const [args, step] of cases) {
    expect(await mount(args), JSON.stringify(args)).toEqual({
      ...{ code: 1, signal: null, frames: [["e", step]], mounts: 0 },
    });
  }
  expect(await mount({ do: "anything" })).toEqual({ code: 2, signal: null, frames: [], mounts: 0 });
});
