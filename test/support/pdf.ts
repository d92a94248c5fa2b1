/**
 * Makes a PDF of one page that is red all over.
 *
 * @param script JavaScript that the document asks to run when it is opened
 */
export function redPdf(script?: string): Uint8Array {
  const content = "1 0 0 rg 0 0 300 300 re f";
  const open =
    script === undefined
      ? ""
      : ` /OpenAction << /S /JavaScript /JS (${script.replace(/[()\\]/g, "\\$&")}) >>`;
  const objects = [
    `<< /Type /Catalog /Pages 2 0 R${open} >>`,
    "<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
    "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 300 300] /Contents 4 0 R >>",
    `<< /Length ${content.length} >>\nstream\n${content}\nendstream`,
  ];
  let text = "%PDF-1.7\n";
  const offsets = objects.map((object, at) => {
    const offset = text.length;
    text += `${at + 1} 0 obj\n${object}\nendobj\n`;
    return offset;
  });
  const rows = offsets.map((offset) => `${String(offset).padStart(10, "0")} 00000 n \n`).join("");
  text += `xref\n0 5\n0000000000 65535 f \n${rows}trailer\n<< /Size 5 /Root 1 0 R >>\nstartxref\n${text.length}\n%%EOF\n`;
  return new TextEncoder().encode(text);
}
