import { z } from "zod";
import { AgentVmError } from "../../api/errors.ts";
import { type MountOptions, mount, volumeName } from "../../api/methods/mounts.ts";
import { absolutePath } from "../option-values.ts";
import { MAX_MOUNTS } from "./limits.ts";
import { checkTarget } from "./targets.ts";

/** Mounts of every VM. They need no `hostFolders` and `volumes`: the operator has chosen them. */
export const mountsSchema = z
  .array(mount)
  .max(MAX_MOUNTS)
  .superRefine((mounts, context) => {
    for (const [index, { path, plugin }] of mounts.entries()) {
      const refuse = (message: string) => context.addIssue({ code: "custom", message, path: [index] });
      if (mounts.findIndex((other) => other.path === path) !== index) refuse("two mounts have one path");
      if ("config" in plugin && plugin.config !== undefined && "hostPath" in plugin.config) {
        const { error } = absolutePath.safeParse(plugin.config.hostPath);
        if (error !== undefined) refuse(`hostPath ${error.issues[0]?.message}`);
      }
      try {
        checkTarget(path, "path");
      } catch (error) {
        if (!(error instanceof AgentVmError)) throw error;
        refuse(error.message);
      }
    }
  });

/** Folders of the host that a client may mount into its VM with `mountFs`. */
export const hostFoldersSchema = z
  .array(
    z.strictObject({
      /** A folder of the host. A client may mount it, and every folder below it. */
      path: absolutePath,
      /** Whether a client may mount it for writing. */
      writable: z.boolean().default(false),
    }),
  )
  .max(64);

/** Volumes that a client may mount into its VM with `mountFs`. */
export const volumesSchema = z
  .array(
    z.strictObject({
      /** Name of the volume. */
      name: volumeName,
      /** Whether a client may mount it for writing. */
      writable: z.boolean().default(true),
      /** Whether only one VM may mount it at a time. */
      exclusive: z.boolean().default(false),
    }),
  )
  .max(1024);

/**
 * Returns a mount of a folder with `node_modules` at `/root/node_modules`, from which every program of Node below `/root`
 * imports.
 *
 * @param hostDir absolute path of a folder on the server's host
 * @param options `readOnly`. @default true
 * @example
 * ```ts
 * vmActor({ mounts: [nodeModulesMount("/srv/app/node_modules")] });
 * ```
 */
export function nodeModulesMount(
  hostDir: string,
  { readOnly = true }: { readOnly?: boolean } = {},
): MountOptions {
  return {
    path: "/root/node_modules",
    plugin: { id: "host_dir", config: { hostPath: hostDir } },
    readOnly,
  };
}
