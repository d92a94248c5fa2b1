import { z } from "zod";
import { absolutePath, envSchema, mountTarget } from "../../option-values.ts";
import { BUILT_IN_AGENTS } from "./builtin.ts";

/** A built-in agent: the folder `node_modules` of the host in which its packages are installed. */
const installedSchema = z.strictObject({ from: absolutePath });

const argument = z.string().regex(/^[^\0]*$/, "must not contain NUL");

/** An agent of the user's own: any program that speaks the Agent Client Protocol on its standard streams. */
const ownSchema = z.strictObject({
  /** A program in the VM's PATH, or a path. */
  command: argument.min(1),
  args: z.array(argument).max(256).default([]),
  /** Variables beneath those of the VM and of the session. */
  env: envSchema.default({}),
  /** Files and folders of the host that every VM sees read-only. */
  mounts: z
    .array(z.strictObject({ from: absolutePath, to: mountTarget }))
    .max(16)
    .default([]),
});

const agentSchema = z.union([installedSchema, ownSchema], {
  error: (issue) => {
    if (issue.code !== "invalid_union") return undefined;
    const isInstalled = typeof issue.input === "object" && issue.input !== null && "from" in issue.input;
    const inner = issue.errors[isInstalled ? 0 : 1]?.[0];
    return inner === undefined || inner.path.length === 0
      ? "must be { from } or { command, args?, env?, mounts? }"
      : `${inner.path.join(".")}: ${inner.message}`;
  },
});

const NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/;

const MAX_AGENTS = 32;

const BUILT_IN = BUILT_IN_AGENTS.map(({ name }) => name);

export const agentsSchema = z.record(z.string(), agentSchema).superRefine((agents, context) => {
  const refuse = (path: string[], message: string) => context.addIssue({ code: "custom", path, message });
  if (Object.keys(agents).length > MAX_AGENTS) refuse([], `at most ${MAX_AGENTS} agents`);
  for (const [agent, option] of Object.entries(agents)) {
    if (!NAME.test(agent))
      refuse([agent], "must be named with letters, digits, dots, dashes and underscores");
    if ("command" in option || BUILT_IN.includes(agent)) continue;
    refuse([agent], `must have a command: the agents that are built in are ${BUILT_IN.join(", ")}`);
  }
});

export type AgentsOption = z.output<typeof agentsSchema>;
export type InstalledAgentOption = z.output<typeof installedSchema>;
export type OwnAgentOption = z.output<typeof ownSchema>;
