import type { Bytes, Env } from "../../api/types.ts";
import type { CommandRequest } from "../sandbox/sandbox.ts";
import { commandEnv } from "./environment.ts";

/** What a call leaves open, from the actor's options. */
export interface CommandDefaults {
  env: Env;
  cwd: string;
}

export function resolveCommand(
  command: string,
  args: readonly string[],
  options: { env?: Env; cwd?: string },
  defaults: CommandDefaults,
): CommandRequest {
  return { command, args, env: commandEnv(defaults.env, options.env), cwd: options.cwd ?? defaults.cwd };
}

export function toBytes(data: Bytes): Uint8Array {
  return typeof data === "string" ? Buffer.from(data, "utf8") : data;
}
