import { z } from "zod";
import { absolutePath, envSchema, mountTarget } from "../../option-values.ts";
import { BUILT_IN_AGENTS } from "./builtin.ts";

/** A built-in agent of a given folder. */
const installedSchema = z.strictObject({
  /** Absolute path of the host's `node_modules` folder that has the agent's packages. */
  from: absolutePath,
});

const argument = z.string().regex(/^[^\0]*$/, "must not contain NUL");

/** A custom agent: any program that speaks the Agent Client Protocol on stdin and stdout. */
const ownSchema = z.strictObject({
  /** A program in the VM's PATH, or a path. */
  command: argument.min(1),
  /** Arguments of the program, at most 256. @default [] */
  args: z.array(argument).max(256).default([]),
  /** Default variables. Variables of the VM and of the session override them. */
  env: envSchema.default({}),
  /** Files and folders of the host that every VM sees read-only. */
  mounts: z
    .array(
      z.strictObject({
        /** Absolute path on the host. */
        from: absolutePath,
        /** Absolute path in the VM. */
        to: mountTarget,
      }),
    )
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
    refuse([agent], `must have a command: the built-in agents are ${BUILT_IN.join(", ")}`);
  }
});

export type AgentsOption = z.output<typeof agentsSchema>;
export type OwnAgentOption = z.output<typeof ownSchema>;
