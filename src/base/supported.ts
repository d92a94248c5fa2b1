/** The oldest Node that runs a server and the command line. */
const NEEDED = { major: 22, minor: 18 };

/**
 * Says why this process can run neither a server nor the command line. This module loads on Node 18, Bun and Deno.
 *
 * @returns one line; `undefined` if it can
 */
export function unsupported(versions: NodeJS.ProcessVersions): string | undefined {
  const needed = `agent-vm needs Node ${NEEDED.major}.${NEEDED.minor} or newer for its server and its command line`;
  if (versions.bun !== undefined) return `${needed}, this is Bun ${versions.bun}`;
  if (versions.deno !== undefined) return `${needed}, this is Deno ${versions.deno}`;
  const [major = 0, minor = 0] = versions.node.split(".").map(Number);
  const isOld = major < NEEDED.major || (major === NEEDED.major && minor < NEEDED.minor);
  return isOld ? `${needed}, this is Node ${versions.node}` : undefined;
}
