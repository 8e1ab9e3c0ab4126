package dashboards

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"quantrac"
)

// role is what an organism is to the crop.
type role string

const (
	rolePest  role = "pest"
	roleEnemy role = "enemy" // natural enemy of pests: to be spared
	roleOther role = "other"
)

type species struct {
	name quantrac.Text
	role role
}

// speciesNames maps the value of label species (the scientific name in lower
// case with underscores) to the names farmers and plant protection officers
// use: the pests and natural enemies of rice and fruit that come to light. An
// unknown one is shown by its scientific name.
var speciesNames = map[string]species{
	"nilaparvata_lugens":       {quantrac.Text{Vi: "Rầy nâu", En: "Brown planthopper"}, rolePest},
	"sogatella_furcifera":      {quantrac.Text{Vi: "Rầy lưng trắng", En: "White-backed planthopper"}, rolePest},
	"nephotettix_virescens":    {quantrac.Text{Vi: "Rầy xanh đuôi đen", En: "Green leafhopper"}, rolePest},
	"nephotettix_nigropictus":  {quantrac.Text{Vi: "Rầy xanh đuôi đen", En: "Rice green leafhopper"}, rolePest},
	"recilia_dorsalis":         {quantrac.Text{Vi: "Rầy zigzag", En: "Zigzag leafhopper"}, rolePest},
	"cnaphalocrocis_medinalis": {quantrac.Text{Vi: "Bướm sâu cuốn lá nhỏ", En: "Rice leaffolder moth"}, rolePest},
	"scirpophaga_incertulas":   {quantrac.Text{Vi: "Bướm sâu đục thân hai chấm", En: "Yellow stem borer moth"}, rolePest},
	"chilo_suppressalis":       {quantrac.Text{Vi: "Bướm sâu đục thân năm vạch", En: "Striped stem borer moth"}, rolePest},
	"sesamia_inferens":         {quantrac.Text{Vi: "Bướm sâu đục thân cú mèo", En: "Pink stem borer moth"}, rolePest},
	"orseolia_oryzae":          {quantrac.Text{Vi: "Muỗi hành", En: "Asian rice gall midge"}, rolePest},
	"scotinophara_coarctata":   {quantrac.Text{Vi: "Bọ xít đen", En: "Rice black bug"}, rolePest},
	"leptocorisa_oratorius":    {quantrac.Text{Vi: "Bọ xít dài", En: "Rice bug"}, rolePest},
	"leptocorisa_acuta":        {quantrac.Text{Vi: "Bọ xít hôi", En: "Rice bug"}, rolePest},
	"parapoynx_stagnalis":      {quantrac.Text{Vi: "Bướm sâu phao", En: "Rice caseworm moth"}, rolePest},
	"spodoptera_mauritia":      {quantrac.Text{Vi: "Bướm sâu keo", En: "Rice armyworm moth"}, rolePest},
	"bactrocera_dorsalis":      {quantrac.Text{Vi: "Ruồi đục quả", En: "Oriental fruit fly"}, rolePest},
	"idioscopus_niveosparsus":  {quantrac.Text{Vi: "Rầy bông xoài", En: "Mango leafhopper"}, rolePest},
	"idioscopus_clypealis":     {quantrac.Text{Vi: "Rầy bông xoài", En: "Mango leafhopper"}, rolePest},
	"diaphorina_citri":         {quantrac.Text{Vi: "Rầy chổng cánh", En: "Asian citrus psyllid"}, rolePest},
	"conopomorpha_sinensis":    {quantrac.Text{Vi: "Bướm sâu đục cuống trái", En: "Litchi fruit borer moth"}, rolePest},
	"cyrtorhinus_lividipennis": {quantrac.Text{Vi: "Bọ xít mù xanh", En: "Green mirid bug"}, roleEnemy},
	"paederus_fuscipes":        {quantrac.Text{Vi: "Kiến ba khoang", En: "Rove beetle"}, roleEnemy},
	"ophionea_nigrofasciata":   {quantrac.Text{Vi: "Bọ ba khoang", En: "Ground beetle"}, roleEnemy},
	"micraspis_discolor":       {quantrac.Text{Vi: "Bọ rùa đỏ", En: "Lady beetle"}, roleEnemy},
	"harmonia_octomaculata":    {quantrac.Text{Vi: "Bọ rùa tám chấm", En: "Eight-spotted lady beetle"}, roleEnemy},
}

// speciesOf returns the names of an organism by the value of its label.
func speciesOf(label string) species {
	if s, ok := speciesNames[label]; ok {
		return s
	}
	text := strings.ReplaceAll(label, "_", " ")
	if text == "" {
		return species{quantrac.Text{Vi: "Không rõ loài", En: "Unknown species"}, roleOther}
	}
	first, n := utf8.DecodeRuneInString(text)
	text = string(unicode.ToUpper(first)) + text[n:]
	return species{quantrac.Text{Vi: text, En: text}, roleOther}
}
