import { VM_HOME, VM_USER } from "./sandbox.ts";

/** What a VM tells the agents in it of itself. */
export const INSTRUCTIONS_PATH = "/etc/agentos/instructions.md";

export const INSTRUCTIONS = `# This machine

You are on a Linux machine of your own, as the user ${VM_USER}. What you do here stays here.

- Work in /workspace. Your home is ${VM_HOME}. Both are kept; /tmp and /run are not.
- You cannot become root. /usr is the host's and read-only: use the programs that are there. Put programs of
  your own below your home.
- Servers that you start are reached on 127.0.0.1. The outside is reached, if at all, through the proxy that
  HTTP_PROXY and HTTPS_PROXY name.
`;
