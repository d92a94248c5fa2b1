import { mkdir, readFile, rename, writeFile } from "node:fs/promises";
import { homedir } from "node:os";
import { dirname, join } from "node:path";
import { z } from "zod";
import { UsageError } from "./exit-codes.ts";

/** Form of a context's name. */
export const CONTEXT_NAME = /^[A-Za-z0-9][\w.-]{0,63}$/;

/** A server with a name. */
const contextSchema = z.strictObject({
  endpoint: z.string(),
  token: z.string().optional(),
});

const configSchema = z.strictObject({
  current: z.string().optional(),
  contexts: z.record(z.string().regex(CONTEXT_NAME), contextSchema).default({}),
});

export type Context = z.output<typeof contextSchema>;
export type Config = z.output<typeof configSchema>;

/** Path of the file with the named servers. */
export function configFile(env: NodeJS.ProcessEnv = process.env): string {
  return join(env.XDG_CONFIG_HOME || join(homedir(), ".config"), "agent-vm", "config.json");
}

/** Reads the named servers. A missing file has none. @throws UsageError for a file that cannot be understood */
export async function readConfig(): Promise<Config> {
  const file = configFile();
  let text: string;
  try {
    text = await readFile(file, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return { contexts: {} };
    throw error;
  }
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

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
