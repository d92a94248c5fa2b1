import { z } from "zod";
import { MAX_ARGUMENT_BYTES } from "../api/limits.ts";
import { fitsVariable } from "../api/values.ts";
import { VM_MOUNTS } from "./sandbox/mount-table.ts";

export const absolutePath = z
  .string()
  .max(4095)
  .regex(/^\/[^\0]*$/, "must be an absolute path")
  .refine((path) => !/\/\.{0,2}(\/|$)/.test(path.slice(0, path.length > 1 ? undefined : 0)), {
    message: "must be normalized",
  });

/** Environment variables: names without `=` and NUL, values without NUL. */
export const envSchema = z
  .record(
    z.string().regex(/^[^=\0]+$/, "must have names without = and NUL"),
    z.string().regex(/^[^\0]*$/, "must not contain NUL"),
  )
  .refine((variables) => Object.entries(variables).every(fitsVariable), {
    message: `a variable has at most ${MAX_ARGUMENT_BYTES} bytes, name and value together`,
  });

/** Places that a VM makes itself: nothing can be laid over them or into them. */
const CLOSED_TARGETS = VM_MOUNTS.paths("kernel", "server", "host", "link");

/** Folders of a VM's own: they take mounts inside, but none may hide them. */
const OWN_FOLDERS = VM_MOUNTS.paths("own");

/** Where something of the host may appear in a VM. */
export const mountTarget = absolutePath
  .refine((path) => !CLOSED_TARGETS.some((taken) => path === taken || path.startsWith(`${taken}/`)), {
    message: `must not be at or below ${CLOSED_TARGETS.join(", ")}`,
  })
  .refine((path) => !OWN_FOLDERS.includes(path), {
    message: `must not hide one of the VM's own folders ${OWN_FOLDERS.join(", ")}`,
  });
