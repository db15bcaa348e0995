/** Words and characters that the corpus generator puts together; written for this purpose. */

/** Common Chinese words, roughly from frequent to rare. */
export const CHINESE_WORDS: readonly string[] =
  `的 是 在 了 和 我们 一个 不 有 这 人 中 大 为 上 可以 他们 说 到 时候 没有 自己 就 也 要 会 那 知道 现在 问题 工作 因为 所以
但是 如果 已经 开始 学习 数据 模型 训练 系统 文件 方法 世界 中国 城市 国家 时间 历史 文化 经济 社会 发展 技术 科学 研究 教育 学生 老师
学校 大学 公司 市场 产品 用户 服务 网络 信息 语言 文字 汉字 词语 句子 段落 文章 作者 读者 图书馆 北京 上海 广州 深圳 长江 黄河 山水 春天
夏天 秋天 冬天 天气 温度 下雨 太阳 月亮 星星 地球 海洋 森林 动物 植物 花园 房子 厨房 米饭 面条 茶叶 咖啡 牛奶 水果 苹果 香蕉 医生 医院
健康 身体 眼睛 耳朵 朋友 家庭 父亲 母亲 孩子 哥哥 姐姐 生日 礼物 音乐 电影 电视 照片 旅行 飞机 火车 汽车 自行车 道路 桥梁 银行 货币 价格
增长 百分之三十 统计 分析 结果 实验 理论 定义 公式 证明 函数 变量 参数 矩阵 向量 概率 分布 梯度 下降 收敛 优化 并行 计算 内存 硬盘 处理器
编译 解释 调试 测试 版本 发布 文档 注释 接口 协议 请求 响应 错误 日志 配置 安装 删除 更新 查询 索引 排序 搜索 推荐 识别 翻译 生成 对话 机器人
人工智能 神经网络 深度学习 自然语言处理 计算机视觉 强化学习 知识图谱 云计算 大数据 物联网 区块链 半导体 新能源 可持续 碳中和 全球化 供应链
一带一路 改革开放 实事求是 画龙点睛 守株待兔 井底之蛙 千里之行始于足下 学而时习之不亦说乎 床前明月光疑是地上霜 龘 犇 骉 㐂 𠮷野家 〇一二三四五六七八九十`
    .split(/\s+/)
    .filter(Boolean);

/** Chinese punctuation, weighted by repetition. */
export const CHINESE_MARKS: readonly string[] = [
  ...['，', '，', '，', '，', '，', '，', '。', '。', '。', '、', '；', '：', '！', '？'],
  ...['“', '”', '（', '）', '《', '》', '……', '——', ' ', '\n', '\n\n', '\u3000\u3000'],
];

/** English words, roughly from frequent to rare. */
export const ENGLISH_WORDS: readonly string[] =
  `the of and to in a is that for it was on are as with his they at be this from have or by one had not but what all were when we there can
an your which their said if do will each about how up out them then she many some so these would other into has more her two like him see
time could no make than first been its who now people my made over did down only way find use may water long little very after words
called just where most know get through back much before go good new write our used me man too any day same right look think also around
another came come work three word must because does part even place well such here take why things help put years different away again off
went old number great tell men say small every found still between name should home big give air line set own under read last never us left
end along while might next sound below saw something thought both few those always looked show large often together asked house world going
want school important until form food keep children feet land side without boy once animals life enough took sometimes four head above kind
began almost live page got earth need far hand high year mother light parts country father let night following picture being study second
eyes soon times story boys since white days ever paper hard near sentence better best across during today others however sure means knew
tokenization perplexity hyperparameter antidisestablishmentarianism pneumonoultramicroscopicsilicovolcanoconiosis naïve café coöperate
don't we'll they've it's I'm you'd O'Neill rock'n'roll e.g. i.e. U.S.A. x86_64 snake_case camelCase kebab-case $HOME #hashtag @user 3.14`
    .split(/\s+/)
    .filter(Boolean);
