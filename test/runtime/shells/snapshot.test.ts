// @module-tag any-user
import headless from "@xterm/headless";
import { expect, test } from "vitest";
import type { ShellSnapshot } from "../../../src/api/methods/shells.ts";
import { failure, until } from "../../support/until.ts";
import { startVm, type TestVm } from "../../support/vm.ts";

/** Returns the lines that a new terminal shows after these bytes. */
async function shown({ cols, rows }: Pick<ShellSnapshot, "cols" | "rows">, ...pieces: Uint8Array[]) {
  const terminal = new headless.Terminal({ cols, rows, scrollback: 2_000, allowProposedApi: true });
  for (const piece of pieces) await new Promise<void>((resolve) => terminal.write(piece, resolve));
  const { active } = terminal.buffer;
  const lines = Array.from({ length: active.length }, (_, y) => active.getLine(y)?.translateToString(true) ?? "");
  return { lines, kind: active.type, x: active.cursorX, y: active.cursorY, modes: terminal.modes };
}

/** Opens a shell that prints a text and waits. */
async function printing({ vm }: TestVm, script: string, size = {}) {
  const options = { command: "sh", args: ["-c", `${script}; printf '\\033]0;done\\007'; exec sleep 1000`] };
  const { shellId } = await vm.openShell({ ...options, ...size });
  await until(async () => {
    const { chunks } = await vm.readShell(shellId);
    return Buffer.concat(chunks.map(({ data }) => data)).includes("\x1b]0;done");
  });
  return shellId;
}

test("a client that joins sees a full-screen program with its colours, modes and cursor", async () => {
  const machine = startVm();
  const shellId = await printing(
    machine,
    "seq 1 100; printf '\\033[?1049h\\033[2J\\033[?1h\\033[?2004h\\033[?1002h\\033[?1006h\\033[?25l\\033[5;3H\\033[31mred\\033[0m\\033[10;1Htitle'",
  );
  const snapshot = await machine.vm.snapshotShell(shellId);
  expect(snapshot).toMatchObject({ shellId, mode: "screen", cols: 80, rows: 24, truncated: false });
  const { lines, kind, x, y, modes } = await shown(snapshot, snapshot.data);
  expect([lines[4], lines[9], kind, x, y]).toEqual(["  red", "title", "alternate", 5, 9]);
  expect(modes).toMatchObject({
    applicationCursorKeysMode: true,
    bracketedPasteMode: true,
    mouseTrackingMode: "drag",
  });
  const drawn = Buffer.from(snapshot.data).toString();
  for (const sequence of ["\x1bc", "\x1b[31m", "\x1b[?1006h", "\x1b[?25l"]) expect(drawn).toContain(sequence);
});

test("the mode scrollback adds the lines above, and none draws nothing", async () => {
  const machine = startVm();
  const shellId = await printing(machine, "seq 1 2000");
  const screen = await machine.vm.snapshotShell(shellId, "screen");
  expect((await shown(screen, screen.data)).lines.filter((line) => line !== "").at(0)).toBe("1978");
  const whole = await machine.vm.snapshotShell(shellId, "scrollback");
  const { lines } = await shown(whole, whole.data);
  expect([lines[0], lines.includes("1500")]).toEqual(["978", true]);
  expect(await machine.vm.snapshotShell(shellId, "none")).toMatchObject({ seq: screen.seq, data: new Uint8Array() });
});

test("later output continues a snapshot, also in the middle of a sequence", async () => {
  const machine = startVm();
  const { vm } = machine;
  const script = "stty -echo; printf 'a\\033[3'; read x; printf '1mb\\303'; read x; printf '\\244c'; read x";
  const { shellId } = await vm.openShell({ command: "sh", args: ["-c", script] });
  const sizes: number[] = [];
  for (const [size, text] of [
    [4, "abäc"],
    [8, "abäc"],
  ] as const) {
    await until(async () => (await vm.readShell(shellId)).chunks.reduce((sum, { data }) => sum + data.length, 0) >= size);
    const snapshot = await vm.snapshotShell(shellId);
    sizes.push(snapshot.seq);
    await vm.writeShell(shellId, "\n");
    if (size === 4) continue;
    await until(async () => (await vm.readShell(shellId, { after: snapshot.seq })).chunks.length > 0);
    const rest = await vm.readShell(shellId, { after: snapshot.seq });
    const { lines } = await shown(snapshot, snapshot.data, ...rest.chunks.map(({ data }) => data));
    expect(lines[0]).toBe(text);
  }
  expect(sizes[1]).toBeGreaterThan(sizes[0]!);
});

test("a snapshot takes changes of the size into account", async () => {
  const machine = startVm();
  const shellId = await printing(machine, "printf 'one two three'");
  for (let cols = 4096; cols > 20; cols -= 13) await machine.vm.resizeShell(shellId, cols, 4);
  await machine.vm.resizeShell(shellId, 20, 5);
  const snapshot = await machine.vm.snapshotShell(shellId);
  expect(snapshot).toMatchObject({ cols: 20, rows: 5 });
  expect((await shown(snapshot, snapshot.data)).lines.join("")).toContain("one two three");
});

test("a screen that was asked for outlives the output that drew it", async () => {
  const machine = startVm();
  const { vm } = machine;
  const flood = "i=0; while [ $i -lt 6 ]; do head -c 65536 /dev/zero | tr '\\0' 'x'; printf '\\033[1;1H'; sleep 0.4; i=$((i+1)); done";
  const script = `printf '\\033[?1049h\\033[2J\\033[24;1Hkept\\033[1;1H\\033[1;3r'; read x; ${flood}; printf '\\033]0;over\\007'; exec sleep 1000`;
  const { shellId } = await vm.openShell({ command: "sh", args: ["-c", script] });
  await until(async () => (await vm.readShell(shellId)).chunks.length > 0);
  await vm.snapshotShell(shellId);
  await vm.writeShell(shellId, "\n");
  await until(async () => {
    const { chunks } = await vm.readShell(shellId);
    return Buffer.concat(chunks.map(({ data }) => data)).includes("\x1b]0;over");
  });
  expect((await vm.readShell(shellId)).truncated).toBe(true);
  const snapshot = await vm.snapshotShell(shellId);
  expect(snapshot.truncated).toBe(false);
  const { lines, kind } = await shown(snapshot, snapshot.data);
  expect([lines[23], kind]).toEqual(["kept", "alternate"]);
});

test("escape sequences that ask for too much neither stop the server nor spoil the screen", async () => {
  const machine = startVm();
  const hostile = ["b", "S", "T", "L", "M", "@", "P", "X", "I", "Z", "A", "B"].map((final) => `\\033[2147483647${final}`);
  const shellId = await printing(machine, `printf 'x${hostile.join("")}\\033[H\\033[2Jfine'`);
  const startedAt = performance.now();
  let longest = 0;
  let last = startedAt;
  const timer = setInterval(() => {
    longest = Math.max(longest, performance.now() - last);
    last = performance.now();
  }, 5);
  const snapshot = await machine.vm.snapshotShell(shellId);
  clearInterval(timer);
  expect((await shown(snapshot, snapshot.data)).lines.join("")).toContain("fine");
  expect(longest).toBeLessThan(500);
});

test("output that takes too long to draw is refused, and the shell goes on", async () => {
  const machine = startVm();
  const { vm } = machine;
  const shellId = await printing(machine, "i=0; while [ $i -lt 12000 ]; do printf '\\033[4096L\\033[4096S'; i=$((i+1)); done", {
    cols: 500,
    rows: 500,
  });
  expect(await failure(vm.snapshotShell(shellId))).toMatchObject({
    code: "limit_exceeded",
    metadata: { limit: "SCREEN_TIMEOUT_MS" },
  });
  expect((await vm.exec("echo on")).stdout).toBe("on\n");
});

test("a terminal of too many cells is refused", async () => {
  const machine = startVm();
  const shellId = await printing(machine, "true", { cols: 4096, rows: 4096 });
  expect(await failure(machine.vm.snapshotShell(shellId))).toMatchObject({
    code: "limit_exceeded",
    metadata: { limit: "MAX_SCREEN_CELLS" },
  });
  expect(await failure(machine.vm.snapshotShell("shell-99"))).toMatchObject({ code: "shell_not_found" });
});
