package grid

// Category is one class of events.
type Category struct {
	Code      string `json:"code"` // 4 digits
	Name      string `json:"name"`
	NameEN    string `json:"name_en"`
	Group     string `json:"group"` // 2 digits
	GroupName string `json:"group_name"`
}

// other is the class for what fits nowhere else.
const other = "9900"

// Categories returns the classes that an event from a video alert may have, by
// code. They speak of places, things and hazards. There is none for quarrels,
// petitions or persons, on purpose: video does not judge people. The table is
// ours (domain reference §5.5); no national one exists.
func Categories() []Category {
	return []Category{
		{"0101", "消防通道占用", "Fire lane blocked", "01", "消防安全"},
		{"0102", "疑似烟火", "Suspected smoke or fire", "01", "消防安全"},
		{"0103", "秸秆焚烧疑似", "Suspected straw burning", "01", "消防安全"},
		{"0201", "危险水域有人", "Somebody at dangerous water", "02", "水域安全"},
		{"0202", "疑似漫水", "Suspected flooding", "02", "水域安全"},
		{"0301", "人员入线", "Somebody on the railway line", "03", "铁路护路"},
		{"0302", "牲畜入线", "Animal on the railway line", "03", "铁路护路"},
		{"0303", "车辆/异物", "Vehicle or object on the railway line", "03", "铁路护路"},
		{"0401", "占道滞留", "Vehicle standing in the road", "04", "道路通行"},
		{"0402", "障碍物", "Obstacle on the road", "04", "道路通行"},
		{"0403", "牲畜上路", "Animal on the road", "04", "道路通行"},
		{"0501", "疑似倾倒", "Suspected dumping", "05", "环境卫生"},
		{"0601", "计数超阈", "Count above the limit", "06", "人群安全"},
		{"0701", "越界", "Boundary crossed", "07", "周界"},
		{"0801", "离线", "Camera offline", "08", "设施设备"},
		{"0802", "遮挡", "Camera covered", "08", "设施设备"},
		{"0803", "移位", "Camera moved", "08", "设施设备"},
		{"0804", "画质", "Bad picture", "08", "设施设备"},
		{"0805", "录像缺失", "Recording missing", "08", "设施设备"},
		{"0806", "存储不足", "Storage short", "08", "设施设备"},
		{other, "其他", "Other", "99", "其他"},
	}
}

func category(code string) (Category, bool) {
	for _, c := range Categories() {
		if c.Code == code {
			return c, true
		}
	}
	return Category{}, false
}

// chooseCategory takes what the operator chose, which must be in the table,
// else what the rule proposed, else "other".
func chooseCategory(chosen, proposed string) (Category, error) {
	if chosen != "" {
		c, ok := category(chosen)
		if !ok {
			return Category{}, ErrForbiddenCategory
		}
		return c, nil
	}
	if c, ok := category(proposed); ok {
		return c, nil
	}
	c, _ := category(other)
	return c, nil
}
