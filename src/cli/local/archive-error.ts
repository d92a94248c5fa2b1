import { AgentVmError } from "../../api/errors.ts";

/** Returns the error for an archive that a server or a VM must not have sent. */
export function invalidArchive(why: string): AgentVmError {
  return new AgentVmError("invalid_archive", `The archive of the VM is refused: ${why}`, {
    hint: "Nothing outside of the target was written.",
  });
}
