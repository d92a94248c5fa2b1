export interface Result {
  agent: string;
  step: string;
  ms: number;
  isOffered: boolean;
  note: string | undefined;
  failure?: string;
}

/** Prints a Markdown table with a column for each agent and a row for each step. */
export function printTable(results: readonly Result[]): void {
  const agents = [...new Set(results.map(({ agent }) => agent))];
  const steps = [...new Set(results.map(({ step }) => step))];
  const rows = steps.map((step) => [step, ...agents.map((agent) => cell(find(results, agent, step)))]);
  const lines = [["", ...agents], agents.length === 0 ? [] : ["---", ...agents.map(() => "---")], ...rows];
  for (const line of lines) console.log(`| ${line.join(" | ")} |`);
}

function find(results: readonly Result[], agent: string, step: string): Result | undefined {
  return results.find((result) => result.agent === agent && result.step === step);
}

function cell(result: Result | undefined): string {
  if (result === undefined) return "";
  if (result.failure !== undefined) return "FAILED";
  if (!result.isOffered) return "-";
  if (result.step === "memory") return result.note ?? "";
  return `${(result.ms / 1000).toFixed(2)} s`;
}
