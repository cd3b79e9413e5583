// SPDX-License-Identifier: MIT
pragma solidity ^0.7.6;

/// A token that anyone may mint, and that holds to ERC-20 otherwise.
contract Token {
    string public name;
    string public symbol;
    uint8 public decimals;
    uint256 public totalSupply;
    mapping(address => uint256) public balanceOf;
    mapping(address => mapping(address => uint256)) public allowance;

    event Transfer(address indexed from, address indexed to, uint256 value);
    event Approval(address indexed owner, address indexed spender, uint256 value);

    constructor(string memory _name, uint8 _decimals) {
        name = _name;
        symbol = _name;
        decimals = _decimals;
    }

    function mint(address to, uint256 value) external {
        totalSupply += value;
        balanceOf[to] += value;
        emit Transfer(address(0), to, value);
    }

    function approve(address spender, uint256 value) external returns (bool) {
        allowance[msg.sender][spender] = value;
        emit Approval(msg.sender, spender, value);
        return true;
    }

    function transfer(address to, uint256 value) external returns (bool) {
        move(msg.sender, to, value);
        return true;
    }

    function transferFrom(address from, address to, uint256 value) external returns (bool) {
        require(allowance[from][msg.sender] >= value, "allowance");
        allowance[from][msg.sender] -= value;
        move(from, to, value);
        return true;
    }

    function move(address from, address to, uint256 value) private {
        require(balanceOf[from] >= value, "balance");
        balanceOf[from] -= value;
        balanceOf[to] += value;
        emit Transfer(from, to, value);
    }
}

/// A price aggregator in Chainlink's manner, whose rounds anyone may write.
contract Aggregator {
    uint8 public decimals;
    int256[] private answers;
    uint256[] private times;

    event AnswerUpdated(int256 indexed current, uint256 indexed roundId, uint256 updatedAt);

    constructor(uint8 _decimals, int256 answer) {
        decimals = _decimals;
        push(answer);
    }

    function push(int256 answer) public {
        answers.push(answer);
        times.push(block.timestamp);
        emit AnswerUpdated(answer, answers.length, block.timestamp);
    }

    function latestRoundData() external view returns (uint80, int256, uint256, uint256, uint80) {
        return round(answers.length);
    }

    function getRoundData(uint80 id) external view returns (uint80, int256, uint256, uint256, uint80) {
        return round(id);
    }

    function round(uint256 id) private view returns (uint80, int256, uint256, uint256, uint80) {
        require(id > 0 && id <= answers.length, "No data present");
        return (uint80(id), answers[id - 1], times[id - 1], times[id - 1], uint80(id));
    }
}
