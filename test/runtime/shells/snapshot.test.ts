import { expect, test } from "vitest";
import { printing, shown } from "../../support/screens.ts";
import { until } from "../../support/until.ts";
import { startVm } from "../../support/vm.ts";

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
  expect(await machine.vm.snapshotShell(shellId, "none")).toMatchObject({
    seq: screen.seq,
    data: new Uint8Array(),
  });
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
    await until(
      async () =>
        (await vm.readShell(shellId)).chunks.reduce((sum, { data }) => sum + data.length, 0) >= size,
    );
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
  const other = await printing(machine, "true");
  const piece = "read x; head -c 65536 /dev/zero | tr '\\0' 'x'; printf '\\033[1;1H\\033]0;%s\\007' $i";
  const script = `stty -echo; printf '\\033[?1049h\\033[2J\\033[24;1Hkept\\033[1;1H\\033[1;3r'; for i in 1 2 3 4 5 6; do ${piece}; done; exec sleep 1000`;
  const { shellId } = await vm.openShell({ command: "sh", args: ["-c", script] });
  await until(async () => (await vm.readShell(shellId)).chunks.length > 0);
  await vm.snapshotShell(shellId);
  for (let count = 1; count <= 6; count++) {
    await vm.writeShell(shellId, "\n");
    await until(async () => {
      const { chunks } = await vm.readShell(shellId);
      return Buffer.concat(chunks.map(({ data }) => data)).includes(`\x1b]0;${count}\x07`);
    });
    // The VM draws one shell at a time, so this shell has been drawn when the other one is.
    await vm.snapshotShell(other);
  }
  expect((await vm.readShell(shellId)).truncated).toBe(true);
  const snapshot = await vm.snapshotShell(shellId);
  expect(snapshot.truncated).toBe(false);
  const { lines, kind } = await shown(snapshot, snapshot.data);
  expect([lines[23], kind]).toEqual(["kept", "alternate"]);
});
