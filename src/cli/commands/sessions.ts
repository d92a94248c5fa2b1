import { type Command, Option } from "commander";
import { integer, variables } from "../values.ts";
import { does, group, serverCommand } from "./command.ts";

const actions = () => import("../actions/sessions.ts");

/** Adds the commands for coding agents. */
export function addSessionCommands(program: Command): void {
  const session = group(program, "session", "talk to a coding agent in a VM");
  withSessionOptions(
    serverCommand(session, "start <key>", "start an agent and open a session with it", {
      examples: [["session start alice --agent claude -e ANTHROPIC_API_KEY", "prints the id of the session"]],
    }).requiredOption("--agent <agent>", "agent, such as claude, codex or pi"),
  ).action(does(async () => (await actions()).startSession));

  withSessionOptions(
    serverCommand(session, "prompt <key> [text...]", "send a prompt and stream the answer", {
      notes:
        "Options stand before KEY. Without a text: on a terminal a conversation, line by line until Ctrl-D; in a script all of stdin. Without --session the newest session answers. On a terminal the agent's permission requests are questions; in a script they are refused unless --answer says otherwise.",
      examples: [
        ["session prompt alice 'Fix the failing test.'", "prints the text of the agent"],
        ["session prompt --agent claude alice", "opens a session and a conversation"],
        ["session prompt --answer once alice < task.md", "allows what the agent asks for"],
      ],
    })
      .passThroughOptions()
      .option("-s, --session <id>", "session (default: the newest)")
      .option("--agent <agent>", "open a new session with this agent"),
  )
    .addOption(
      new Option("--answer <reply>", "answer to every permission request").choices([
        "once",
        "always",
        "reject",
      ]),
    )
    .action(does(async () => (await import("../actions/prompt.ts")).prompt));

  serverCommand(session, "history <key> [session]", "print the transcript of a session", {
    examples: [["session history alice --json", "prints one event a line"]],
  })
    .option("--since <number>", "only events after this number", integer)
    .action(does(async () => (await actions()).history));
  serverCommand(session, "export <key> [session]", "print the transcript of a session as a document", {
    examples: [["session export alice > transcript.md", "keeps the newest session as Markdown"]],
  })
    .addOption(
      new Option("--format <format>", "form of the document")
        .choices(["markdown", "json"])
        .default("markdown"),
    )
    .action(does(async () => (await actions()).exportSession));
  serverCommand(session, "ls <key>", "list the sessions of a VM, closed ones too", {
    examples: [["session ls alice", "lists the oldest first"]],
  }).action(does(async () => (await actions()).listSessions));
  serverCommand(session, "agents <key>", "list the agents of the server", {
    examples: [["session agents alice", "says which are installed"]],
  }).action(does(async () => (await actions()).listAgents));
  serverCommand(session, "cancel <key> <session>", "end the running prompt and the queued ones", {
    examples: [
      ["session cancel alice 7d9f4c1e-52b0-4a8e-9c63-0f1d2b7a6e85", "exits 1 if no prompt was running"],
    ],
  }).action(does(async () => (await actions()).cancelPrompts));
  serverCommand(session, "close <key> <session...>", "end the agents of sessions, and keep the transcripts", {
    examples: [
      [
        "session close alice 7d9f4c1e-52b0-4a8e-9c63-0f1d2b7a6e85",
        "the next prompt needs `call KEY resumeSession`",
      ],
    ],
  }).action(does(async () => (await actions()).closeSessions));
  serverCommand(session, "rm <key> <session...>", "delete sessions with their transcripts", {
    examples: [["session rm alice 7d9f4c1e-52b0-4a8e-9c63-0f1d2b7a6e85", "ends the agent too"]],
  }).action(does(async () => (await actions()).deleteSessions));

  serverCommand(program, "acp <key>", "let an editor that speaks ACP use an agent in a VM", {
    notes:
      "Speaks the Agent Client Protocol on stdin and stdout. The agent works on the files of the VM. Its permission requests are questions of the editor. Sessions close with the editor, and session/load opens them again.",
    examples: [["acp alice --agent claude", "is the command line for an editor's list of agents"]],
  })
    .requiredOption("--agent <agent>", "agent, such as claude, codex or pi")
    .option("-w, --cwd <path>", "working directory of the agent in the VM (default: /workspace)")
    .option("-e, --env <name=value>", "variable of the agent; NAME alone takes its value here", variables)
    .option("--instructions <text>", "further instructions for the agent")
    .action(does(async () => (await import("../actions/acp.ts")).acp));

  serverCommand(program, "mcp [key]", "let agents use a VM as tools of the Model Context Protocol", {
    notes:
      "Speaks MCP on stdin and stdout. Without a key the tools take the key of a VM, and reach every VM that the token reaches. A key makes the VM if it does not exist. Needs the package @modelcontextprotocol/sdk.",
    examples: [
      ["mcp alice", "is the command line for an agent's list of MCP servers"],
      ["mcp", "serves all VMs of the server"],
    ],
  })
    .option("-w, --cwd <path>", "base directory in the VM (default: /home/agentos)")
    .action(does(async () => (await import("../actions/mcp.ts")).mcp));
}

function withSessionOptions(command: Command): Command {
  return command
    .option("-w, --cwd <path>", "working directory of the agent (default: /workspace)")
    .option("-e, --env <name=value>", "variable of the agent; NAME alone takes its value here", variables)
    .option("--instructions <text>", "further instructions for the agent")
    .addOption(
      new Option("--permissions <policy>", "answer of the server to permission requests").choices([
        "ask",
        "allow_all",
        "reject_all",
      ]),
    );
}
