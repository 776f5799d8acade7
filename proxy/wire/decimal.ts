const DECIMAL = /^(-?)([0-9]+)(?:\.([0-9]+))?(?:[eE]([+-]?[0-9]{1,9}))?$/;

/**
 * One spelling for all decimal texts of one number, exact for any number of digits: sign, digits without zeros at
 * either end, and the power of ten. Undefined when the text is no decimal number.
 */
function normal(text: string): string | undefined {
  const parts = DECIMAL.exec(text);
  if (parts === null) return undefined;
  const [, sign, whole, fraction = '', exponent = '0'] = parts;
  const digits = `${whole}${fraction}`.replace(/^0+/, '');
  let end = digits.length;
  while (digits.charCodeAt(end - 1) === 0x30) end -= 1;
  if (end === 0) return '0';
  return `${sign}${digits.slice(0, end)}e${Number(exponent) - fraction.length + digits.length - end}`;
}

/** Whether two decimal texts stand for the same number, by their digits: 42.0 and 42 do, 2^53 and 2^53 + 1 do not. */
export function sameNumber(a: string, b: string): boolean {
  const left = normal(a);
  return left !== undefined && left === normal(b);
}
