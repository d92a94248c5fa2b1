import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, openSync, rmSync, writeFileSync } from "node:fs";
import { type AddressInfo, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, onTestFinished, test } from "vitest";
import {
  encodeFrame,
  type Frame,
  FrameReader,
  MAX_FRAME_BYTES,
} from "../../../../../src/runtime/sandbox/kernel/helpers/frames.ts";
import {
  helperCommand,
  helperSource,
  launcherSource,
} from "../../../../../src/runtime/sandbox/kernel/helpers/programs.ts";
import { findTool } from "../../../../../src/runtime/sandbox/kernel/tools.ts";

const perl = findTool("perl") as string;
const ROOT_FD = 3;

/** Each program, and its arguments outside of a VM. */
const PROGRAMS = {
  attributes: [ROOT_FD, 65_536],
  connector: [ROOT_FD, 0, 1],
  launcher: [ROOT_FD, process.pid],
  spawner: [0, 64],
  watcher: [ROOT_FD],
} as const;
type Name = keyof typeof PROGRAMS;
const NAMES = Object.keys(PROGRAMS) as Name[];

/** Programs of which descriptor 3 is Node's channel between processes. The other ones have a folder there. */
const WITH_CHANNEL: ReadonlySet<Name> = new Set(["connector", "launcher"]);

/** Milliseconds within which a program ends, however busy the machine is. */
const END_MS = 20_000;

interface Ended {
  code: number | null;
  signal: NodeJS.Signals | null;
  frames: Frame[];
}

/** Feeds a real program and closes its input, unless it should end by itself. */
async function run(name: Name, input: readonly Buffer[], closes = true): Promise<Ended> {
  const folder = mkdtempSync(join(tmpdir(), "helper-"));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  writeFileSync(join(folder, "file"), "text");
  const [file, ...args] = helperCommand(
    perl,
    name === "launcher" ? launcherSource() : helperSource(name),
    PROGRAMS[name],
  );
  const root = WITH_CHANNEL.has(name) ? "ipc" : openSync(folder, "r");
  const child = spawn(file, args, {
    stdio: ["pipe", "pipe", "ignore", root],
    env: { PATH: process.env.PATH },
    timeout: END_MS,
    killSignal: "SIGKILL",
  });
  const frames: Frame[] = [];
  const reader = new FrameReader();
  child.stdout?.on("data", (data: Buffer) => frames.push(...reader.push(data)));
  child.stdin?.on("error", () => undefined);
  const ended = once(child, "close");
  for (const piece of input) child.stdin?.write(piece);
  if (closes) child.stdin?.end();
  const [code, signal] = (await ended) as [number | null, NodeJS.Signals | null];
  return { code, signal, frames };
}

const length = (bytes: number) => {
  const head = Buffer.alloc(4);
  head.writeUInt32BE(bytes >>> 0);
  return head;
};

/** A body of an "r" or "s" request: inode, shared directories, path, attributes. */
function attributesOf(path: string, rest: Buffer = Buffer.alloc(0), stated = path.length): Buffer {
  const head = Buffer.alloc(16);
  head.writeUInt32BE(stated, 12);
  return Buffer.concat([head, Buffer.from(path), rest]);
}

const each = test.each(NAMES);

each("%s ends with its input", async (name) => {
  expect(await run(name, [])).toMatchObject({ code: 0, signal: null });
});

each("%s ends quietly when its input is cut off inside a frame", async (name) => {
  for (const cut of [1, 3, 4, 8]) {
    expect(await run(name, [encodeFrame("n", 1).subarray(0, cut)])).toMatchObject({ code: 0, signal: null });
  }
});

each("%s breaks off for a frame that is too short or too long", async (name) => {
  for (const bytes of [0, 4, MAX_FRAME_BYTES + 1, 0xffffffff]) {
    expect(await run(name, [length(bytes)], false), `${bytes}`).toMatchObject({ code: 2, signal: null });
  }
});

each("%s breaks off for a kind that there is not", async (name) => {
  for (const kind of ["\0", "Z", "\n"]) {
    expect(await run(name, [encodeFrame(kind, 1, Buffer.alloc(64))], false)).toMatchObject({ code: 2 });
  }
});

/** A port of loopback that is taken. */
const taken = createServer();
beforeAll(async () => {
  await once(taken.listen(0, "127.0.0.1"), "listening");
});
afterAll(() => void taken.close());

/** Makes a request that a program answers with one frame of a kind. Each request of a spawner takes descriptors. */
function answered(name: Name): { request: Buffer; kind: string; most: number } {
  const port = Buffer.alloc(2);
  port.writeUInt16BE((taken.address() as AddressInfo).port);
  const of = {
    attributes: { request: encodeFrame("r", 7, attributesOf("gone")), kind: "r", most: 1000 },
    connector: { request: encodeFrame("l", 7, port), kind: "E", most: 1000 },
    launcher: { request: encodeFrame("p", 7), kind: "P", most: 1000 },
    spawner: { request: encodeFrame("s", 7, Buffer.from("1\x000\0/gone\x001\0true")), kind: "F", most: 50 },
    watcher: { request: encodeFrame("a", 7, Buffer.from("gone")), kind: "A", most: 1000 },
  };
  return of[name];
}

each("%s takes a frame byte by byte, and many frames in one piece", async (name) => {
  const { request, kind, most } = answered(name);
  const answers = ({ frames }: Ended) => frames.filter((frame) => frame.number === 7 && frame.kind === kind);
  const single = await run(
    name,
    [...request].map((byte) => Buffer.from([byte])),
  );
  expect(answers(single)).toHaveLength(1);
  const many = await run(name, [Buffer.concat(Array.from({ length: most }, () => request))]);
  expect(answers(many)).toHaveLength(most);
});

each("%s survives or breaks off, but never hangs, on random frames", async (name) => {
  // Fixed seed: a failure can be repeated.
  let state = 12_345;
  const random = (below: number) => {
    state = (state * 1_103_515_245 + 12_345) % 2_147_483_648;
    return state % below;
  };
  const kinds = "acdklnprsuxREZ";
  for (let round = 0; round < 10; round++) {
    const frames = Array.from({ length: 20 }, () =>
      encodeFrame(
        kinds[random(kinds.length)] as string,
        random(5),
        // No body of a spawner's request names a program: nothing is run.
        Buffer.from(Array.from({ length: random(40) }, () => random(8))),
      ),
    );
    const { code, signal } = await run(name, frames);
    expect(signal).toBeNull();
    expect([0, 2]).toContain(code);
  }
});

test("attributes answers for paths that lead outside, and for truncated requests breaks off", async () => {
  const hostile = ["..", "../..", "/etc/passwd", "a\0b", "x".repeat(5000)];
  const { code, frames } = await run(
    "attributes",
    hostile.map((path, index) => encodeFrame("r", index, attributesOf(path))),
  );
  expect(code).toBe(0);
  expect(frames.map(({ number }) => number)).toEqual(hostile.map((_, index) => index));
  for (const { body } of frames) expect(body.readUInt32BE(0)).not.toBe(0);
  expect(await run("attributes", [encodeFrame("r", 1, attributesOf(""))], false)).toMatchObject({
    code: 2,
  });
  const cut = encodeFrame("r", 1, attributesOf("file", undefined, 5000));
  expect(await run("attributes", [cut], false)).toMatchObject({ code: 2 });
  expect(await run("attributes", [encodeFrame("r", 1, Buffer.alloc(9))], false)).toMatchObject({ code: 2 });
});

test("attributes breaks off for attributes that are cut off", async () => {
  for (const rest of [
    [0],
    [0, 9, 1],
    [0, 1, 97, 0],
    [0, 1, 97, 0, 0, 0, 9, 1],
    [0, 3, 97, 0, 98, 0, 0, 0, 0],
  ]) {
    const frame = encodeFrame("s", 1, attributesOf("file", Buffer.from(rest)));
    expect(await run("attributes", [frame], false), rest.join()).toMatchObject({ code: 2 });
  }
});

test("watcher refuses paths that lead outside, and goes on", async () => {
  const { code, frames } = await run("watcher", [
    ...["..", "/etc", "a\0b", ""].map((path, index) => encodeFrame("a", index + 1, Buffer.from(path))),
    encodeFrame("r", 0xffffffff),
    encodeFrame("n", 0xffffffff),
    encodeFrame("a", 9, Buffer.from(".")),
  ]);
  expect(code).toBe(0);
  const answers = frames.filter(({ kind }) => kind === "A");
  expect(answers.map(({ number }) => number)).toEqual([1, 2, 3, 4, 9]);
  expect(answers.map(({ body }) => body.readUInt32BE(0) === 0)).toEqual([false, false, false, false, true]);
});

test("connector breaks off for a family or a length that there is not", async () => {
  for (const body of [[5, 0, 80], [4, 0], [4, 0, 80, 0], []]) {
    expect(await run("connector", [encodeFrame("c", 1, Buffer.from(body))], false)).toMatchObject({
      code: 2,
    });
  }
});

test("connector reports the kernel's error", async () => {
  const child = await run("connector", [encodeFrame("c", 1, Buffer.from([4, 0, 0]))]);
  expect(child).toMatchObject({ code: 0 });
});

test("spawner breaks off for a request whose counts are wrong, and runs nothing", async () => {
  for (const fields of [
    "",
    "1",
    "1\x000\0/",
    "1\x000\0/\x009\0true",
    "1\x000\0/\0-1\0true",
    "1\x000\0/\0x\0true",
    "x\x000\0/\x001\0true",
  ]) {
    const { code, frames } = await run("spawner", [encodeFrame("s", 1, Buffer.from(fields))], false);
    expect(code, JSON.stringify(fields)).toBe(2);
    expect(frames.map(({ kind }) => kind)).toEqual(["R"]);
  }
  expect(await run("spawner", [encodeFrame("k", 1, Buffer.alloc(3))], false)).toMatchObject({ code: 2 });
});

test("launcher breaks off for a request whose fields are wrong, and starts nothing", async () => {
  for (const fields of [
    "",
    "0",
    "0\x000\0-1",
    "0\x000\0-1\0x",
    "0\x000\0--1\x000",
    "0\x000\0-1\x000\x000",
    "-1\x000\0-1\x000",
  ]) {
    const { code, frames } = await run("launcher", [encodeFrame("x", 1, Buffer.from(fields))], false);
    expect(code, JSON.stringify(fields)).toBe(2);
    expect(frames).toEqual([]);
  }
});

test("launcher refuses a folder that the server does not have open, and ignores programs that there are not", async () => {
  const frames = [
    encodeFrame("x", 1, Buffer.from("0\x000\x00999999\x000")),
    encodeFrame("k", 4_000_000_000),
    encodeFrame("c", 77),
    encodeFrame("p", 2),
  ];
  const ended = await run("launcher", frames);
  expect(ended.code).toBe(0);
  expect(ended.frames.map(({ kind, number }) => [kind, number])).toEqual([
    ["N", 1],
    ["P", 2],
  ]);
});

test("spawner ignores signals and closes for commands that there are not", async () => {
  const nobody = [encodeFrame("k", 4_000_000_000, length(9)), encodeFrame("c", 77)];
  expect(await run("spawner", nobody)).toMatchObject({ code: 0 });
});
