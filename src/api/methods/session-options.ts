import { z } from "zod";
import { MAX_INSTRUCTIONS_BYTES, MAX_MCP_SERVERS, MAX_SESSION_OPTIONS_BYTES } from "../limits.ts";
import { fitsJson, fitsUtf8 } from "../size.ts";
import { args, bool, cwd, env, id, options, program, text } from "../values.ts";

/** Schema of CreateSessionOptions. */
export const sessionOptions = options({
  cwd: cwd.optional(),
  env: env.optional(),
  mcpServers: z
    .array(
      z.union(
        [
          options({
            type: z.literal("local").optional(),
            name: id.optional(),
            command: program,
            args: args.optional(),
            env: env.optional(),
          }),
          options({
            type: z.literal("remote").optional(),
            name: id.optional(),
            url: z.url(),
            headers: z.record(text, text).optional(),
          }),
        ],
        { error: "an MCP server: { command, args?, env? } or { url, headers? }" },
      ),
      { error: "an array of MCP servers" },
    )
    .max(MAX_MCP_SERVERS, { error: `at most ${MAX_MCP_SERVERS} MCP servers` })
    .optional(),
  skipOsInstructions: bool.optional(),
  additionalInstructions: text
    .refine((instructions) => fitsUtf8(instructions, MAX_INSTRUCTIONS_BYTES), {
      error: `at most ${MAX_INSTRUCTIONS_BYTES} bytes of instructions`,
    })
    .optional(),
  permissionPolicy: z
    .enum(["ask", "allow_all", "reject_all"], { error: '"ask", "allow_all" or "reject_all"' })
    .optional(),
}).refine((given) => fitsJson(given, MAX_SESSION_OPTIONS_BYTES), {
  error: `options of at most ${MAX_SESSION_OPTIONS_BYTES} bytes as JSON`,
});
