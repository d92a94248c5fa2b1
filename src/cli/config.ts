import { mkdir, readFile, rename, writeFile } from "node:fs/promises";
import { homedir } from "node:os";
import { dirname, join } from "node:path";
import { parseJson } from "../base/json.ts";
import type { Config } from "./config-schema.ts";
import { UsageError } from "./exit-codes.ts";

/** Path of the file with the named servers. */
export function configFile(env: NodeJS.ProcessEnv = process.env): string {
  return join(env.XDG_CONFIG_HOME || join(homedir(), ".config"), "agent-vm", "config.json");
}

/** Reads the named servers. A missing file names no servers. @throws UsageError for a file that cannot be understood */
export async function readConfig(): Promise<Config> {
  const file = configFile();
  let text: string;
  try {
    text = await readFile(file, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return { contexts: {} };
    throw error;
  }
  // Most commands need no file, and start faster without the library that checks it.
  const { configSchema } = await import("./config-schema.ts");
  const parsed = configSchema.safeParse(parseJson(text));
  if (parsed.success) return parsed.data;
  // The file has tokens, so the message shows none of it.
  const at = parsed.error.issues[0]?.path.join(".") ?? "";
  throw new UsageError(
    `${file} is not a list of servers${at === "" ? "" : `: ${at} is wrong`}. Repair or delete the file.`,
  );
}

/** Replaces the file in one step. Other users cannot read it, because it has tokens. */
export async function writeConfig(config: Config): Promise<void> {
  const file = configFile();
  await mkdir(dirname(file), { recursive: true, mode: 0o700 });
  const next = `${file}.${process.pid}`;
  await writeFile(next, `${JSON.stringify(config, null, 2)}\n`, { mode: 0o600, flag: "wx" });
  await rename(next, file);
}
