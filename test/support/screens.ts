import headless from "@xterm/headless";
import type { ShellSnapshot } from "../../src/api/methods/shells.ts";
import { until } from "./until.ts";
import type { TestVm } from "./vm.ts";

/** Returns the lines that a new terminal shows after these bytes. */
export async function shown({ cols, rows }: Pick<ShellSnapshot, "cols" | "rows">, ...pieces: Uint8Array[]) {
  const terminal = new headless.Terminal({ cols, rows, scrollback: 2_000, allowProposedApi: true });
  for (const piece of pieces) await new Promise<void>((resolve) => terminal.write(piece, resolve));
  const { active } = terminal.buffer;
  const lines = Array.from(
    { length: active.length },
    (_, y) => active.getLine(y)?.translateToString(true) ?? "",
  );
  return { lines, kind: active.type, x: active.cursorX, y: active.cursorY, modes: terminal.modes };
}

/** Opens a shell that prints a text and waits. */
export async function printing({ vm }: TestVm, script: string, size = {}) {
  const options = { command: "sh", args: ["-c", `${script}; printf '\\033]0;done\\007'; exec sleep 1000`] };
  const { shellId } = await vm.openShell({ ...options, ...size });
  await until(async () => {
    const { chunks } = await vm.readShell(shellId);
    return Buffer.concat(chunks.map(({ data }) => data)).includes("\x1b]0;done");
  });
  return shellId;
}
