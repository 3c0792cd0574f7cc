package configs

// provinces holds the first two digits of administrative division codes
// (GB/T 2260-2007, with the special administrative regions and Taiwan).
var provinces = map[string]bool{
	"11": true, "12": true, "13": true, "14": true, "15": true,
	"21": true, "22": true, "23": true,
	"31": true, "32": true, "33": true, "34": true, "35": true, "36": true, "37": true,
	"41": true, "42": true, "43": true, "44": true, "45": true, "46": true,
	"50": true, "51": true, "52": true, "53": true, "54": true,
	"61": true, "62": true, "63": true, "64": true, "65": true,
	"71": true, "81": true, "82": true,
}

// checkDivision checks the parts of a 12-digit statistical division code that
// need no table: province (2), prefecture (2), county (2), town (3), village
// (3). It returns what is wrong and what to write, or two empty texts.
func checkDivision(code string) (what, remedy string) {
	const form = `write the 12 digits of the village or community in quotes, for example "361102001001"`
	if len(code) != 12 || !digits(code) {
		return quote(code) + " is not a division code", form
	}
	switch {
	case !provinces[code[:2]]:
		return quote(code) + " begins with " + code[:2] + ", which is no province (GB/T 2260)", form
	case code[9:] == "000":
		return quote(code) + " is a town or larger, not a village or community", form
	}
	return "", ""
}

func digits(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return true
}
