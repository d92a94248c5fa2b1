import { execFile, spawnSync } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";
import { expect, onTestFinished } from "vitest";
import { programEnv } from "./program-env.ts";
import { testFolder } from "./temporary-folder.ts";

const run = promisify(execFile);

/** Whether this machine has tmux. */
export const hasTmux: boolean = spawnSync("tmux", ["-V"]).status === 0;

/** Milliseconds until something must be on the screen of a busy machine. */
const SCREEN_MS = 60_000;

/** A terminal that a test types into and looks at. */
export interface Screen {
  /** Types text or presses keys, as `tmux send-keys` names them. */
  press(...keys: string[]): Promise<void>;
  /** Types a line and presses Enter. */
  type(line: string): Promise<void>;
  resize(cols: number, rows: number): Promise<void>;
  /** The lines of the screen, without empty lines and without spaces at their ends. */
  lines(): Promise<string[]>;
  /** Waits until a line of the screen matches. */
  shows(pattern: RegExp): Promise<void>;
}

/** Opens a terminal with bash, which ends with the test. Its prompt is `host> `. */
export async function openScreen(env: Record<string, string>): Promise<Screen> {
  const socket = join(testFolder(), "tmux");
  const tmux = async (...args: string[]) => (await run("tmux", ["-S", socket, ...args])).stdout;
  const variables = { ...programEnv(), TERM: "xterm-256color", LANG: "C.UTF-8", PS1: "host> ", ...env };
  const assignments = Object.entries(variables).map(([name, value]) => `${name}=${value}`);
  await tmux(
    "-u",
    "-f",
    "/dev/null",
    "new-session",
    "-d",
    "-s",
    "test",
    "-x",
    "100",
    "-y",
    "30",
    "env",
    "-i",
    ...assignments,
    "bash",
    "--norc",
    "--noprofile",
    "-i",
  );
  onTestFinished(async () => void (await tmux("kill-server").catch(() => undefined)));
  const lines = async () =>
    (await tmux("capture-pane", "-p", "-t", "test"))
      .split("\n")
      .map((line) => line.trimEnd())
      .filter((line) => line !== "");
  const screen: Screen = {
    press: async (...keys) => void (await tmux("send-keys", "-t", "test", ...keys)),
    async type(line) {
      await tmux("send-keys", "-t", "test", "-l", line);
      await screen.press("Enter");
    },
    resize: async (cols, rows) =>
      void (await tmux("resize-window", "-t", "test", "-x", String(cols), "-y", String(rows))),
    lines,
    shows: async (pattern) =>
      await expect.poll(async () => (await lines()).join("\n"), { timeout: SCREEN_MS }).toMatch(pattern),
  };
  await screen.shows(/^host>$/m);
  return screen;
}
